"""DSPy, in an environment where nothing of this project is installed: ``python dspy_child.py IN.json OUT.json``.

A program ``question -> answer``, as it is or after ``InferRules``. DSPy parses the model's reply and hands its caller
the field ``answer``: that field is what is graded. Stops after the first candidate that ends with the budget spent.
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy  # type: ignore[import-not-found, unused-ignore]
from dspy.teleprompt import InferRules  # type: ignore[import-not-found, unused-ignore]

DEMOS = 4
"""Demonstrations that the model worked out itself, as is DSPy's default. Its default of up to 16 labelled ones is left
out: they show "Not supplied for this particular example." in place of reasoning, and a small model copies just that."""


class BudgetSpentError(Exception):
    """The search ends with the best program so far."""


class Frugal(InferRules):  # type: ignore[misc, unused-ignore]
    """``InferRules`` that keeps its best program and stops when its budget is spent."""

    def __init__(self, told: dict[str, Any], **more: Any) -> None:
        super().__init__(**more)
        self.told = told
        self.scores: list[float] = []
        self.best: Any = None

    def evaluate_program(self, program: Any, dataset: Any) -> float:
        score = float(super().evaluate_program(program, dataset))
        if not self.scores or score > max(self.scores):
            self.best = program
        self.scores.append(score)
        if post(f"{self.told['search']}/used")["tokens"] >= self.told["budget"]:
            raise BudgetSpentError
        return score


def post(url: str, body: dict[str, Any] | None = None) -> Any:
    """What a server on loopback answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=1800) as reply:  # noqa: S310
        return json.load(reply)


def main(told: dict[str, Any]) -> dict[str, Any]:
    """Answer the test items with a program, optimised on the training items or not."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)

    def use(stage: str) -> None:
        url = f"{told[stage]}/v1"
        lm = dspy.LM(
            "openai/model", api_base=url, api_key="none", temperature=0.0, max_tokens=told["most_output"], num_retries=0
        )
        dspy.configure(lm=lm)

    def metric(example: Any, prediction: Any, trace: Any = None) -> bool:
        body = {"reply": str(prediction.answer), "expected": example.answer}
        return bool(post(told["grade"], body)["right"])

    program = getattr(dspy, told["program"])("question -> answer")
    found: dict[str, Any] = {"program": told["program"]}
    if told["optimise"]:
        use("search")
        search = Frugal(
            told, num_candidates=10, num_threads=told["at_once"], metric=metric, max_bootstrapped_demos=DEMOS,
            max_labeled_demos=0,
        )  # fmt: skip
        train = [
            dspy.Example(question=one["question"], answer=one["expected"]).with_inputs("question")
            for one in told["train"]
        ]
        half = len(train) // 2
        try:
            search.compile(program, trainset=train[:half], valset=train[half:][: told["selection"]])
        except BudgetSpentError:
            found["stopped"] = "the budget is spent"
        program = search.best
        found |= {"scores": search.scores, "state": program.dump_state()}
    use("test")

    def reply(one: dict[str, Any]) -> str:
        try:
            return str(program(question=one["question"]).answer)
        except Exception as error:  # noqa: BLE001 - whatever DSPy could not make of a reply is its caller's loss
            return f"(no answer: {type(error).__name__})"

    with ThreadPoolExecutor(told["at_once"]) as pool:
        return {"replies": list(pool.map(reply, told["items"])), "found": found}


if __name__ == "__main__":
    answer = main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")
