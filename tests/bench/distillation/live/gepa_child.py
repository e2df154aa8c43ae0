"""gepa, in an environment where nothing of this project is installed: ``python gepa_child.py IN.json OUT.json``.

Its defaults stand (minibatch of three, strict improvement, Pareto selection), its own adapter asks. The grader is
everybody's; what it says of a mistake is as plain as gepa's own evaluator. Stops once its tokens or the strong model's
characters are spent.
"""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import gepa  # type: ignore[import-not-found, unused-ignore]
from gepa.adapters.default_adapter.default_adapter import (  # type: ignore[import-not-found, unused-ignore]
    EvaluationResult,
)


def post(url: str, body: dict[str, Any] | None = None) -> Any:
    """What a server on loopback answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=1800) as reply:  # noqa: S310
        return json.load(reply)


LONG = 4096
"""Output tokens of a reflection."""
RANKED = 50
"""Items on which it ranks, as ``MIPROv2`` does."""
RIGHT = {
    "numeric": "The reply is right: it is the number {answer} and no other number.",
    "exact": "The reply is right: it is {answer} and nothing else.",
}
WRONG = {
    "numeric": "The reply is wrong. The right answer is {answer}, and the reply must contain this number and no other"
    " number: the program that reads it cannot tell which one is meant.",
    "exact": "The reply is wrong. The right answer is {answer}, and the reply must be this text and nothing else.",
}


def main(told: dict[str, Any]) -> dict[str, Any]:
    """Optimise the prompt on the training items, then answer the test items with the best one."""

    def chat(stage: str, messages: Any, **more: Any) -> str:
        body = {"messages": list(messages), "max_tokens": told["most_output"], **more}
        return post(f"{told[stage]}/v1/chat/completions", body)["choices"][0]["message"]["content"] or ""

    def reflect(prompt: Any) -> str:
        asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return chat("strong", asked, model="strong", max_tokens=LONG)

    def evaluated(data: Any, response: str) -> Any:
        good = post(told["grade"], {"reply": response, "expected": data["answer"]})["right"]
        return EvaluationResult(float(good), (RIGHT if good else WRONG)[told["grader"]].format(answer=data["answer"]))

    def spent(_: Any) -> bool:
        if post(f"{told['search']}/used")["tokens"] >= told["budget"]:
            return True
        return bool(told["taught"]) and post(f"{told['strong']}/used")["characters"] >= told["taught"]

    items = [{"input": one["question"], "answer": one["expected"], "additional_context": {}} for one in told["train"]]
    result = gepa.optimize(
        seed_candidate={"system_prompt": told["prompt"]},
        trainset=items[RANKED:],
        valset=items[:RANKED],
        task_lm=lambda messages: chat("search", messages, temperature=0),
        evaluator=evaluated,
        reflection_lm=reflect,
        stop_callbacks=[spent],
        seed=told["seed"],
    )
    best = result.best_candidate["system_prompt"]
    replies = [
        chat("test", [{"role": "system", "content": best}, {"role": "user", "content": one["question"]}], temperature=0)
        for one in told["items"]
    ]
    found = {
        "prompt": best, "candidates": [one["system_prompt"] for one in result.candidates],
        "scores": list(result.val_aggregate_scores), "metric_calls": result.total_metric_calls,
    }  # fmt: skip
    return {"replies": replies, "found": found}


if __name__ == "__main__":
    answer = main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")
