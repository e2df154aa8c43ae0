"""DSPy, in an environment where nothing of this project is installed: ``python dspy_child.py IN.json OUT.json``.

A program ``question -> answer``, as it is or after ``InferRules`` or ``MIPROv2``. DSPy parses the model's reply and
hands its caller the field ``answer``: that field is what is graded. The strong model writes rules and instructions, the
weak one works out the demonstrations.
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy  # type: ignore[import-not-found, unused-ignore]
from dspy.teleprompt import InferRules, MIPROv2  # type: ignore[import-not-found, unused-ignore]
from dspy.teleprompt.infer_rules import RulesInductionProgram  # type: ignore[import-not-found, unused-ignore]

DEMOS = 4
"""Demonstrations that the model worked out itself, as is DSPy's default."""
LONG = 4096
"""Output tokens of an answer of the strong model."""
RANKED = 50
"""Items on which ``MIPROv2`` ranks: the most with which each of its ten trials sees all of them."""


class BudgetSpentError(BaseException):
    """The search ends with the best program so far. No ``Exception``: optimisers catch those."""


class Induction(RulesInductionProgram):  # type: ignore[misc, unused-ignore]
    """The strong model's rules; each draw has its number, since recorded answers are told apart by their requests."""

    draw = 0

    def forward(self, examples_text: str) -> Any:
        self.draw += 1
        return super().forward(f"{examples_text}\n(Draw {self.draw}.)")


class Frugal(InferRules):  # type: ignore[misc, unused-ignore]
    """``InferRules`` that keeps its best program and stops after the candidate that has spent its budget."""

    def __init__(self, told: dict[str, Any], strong: Any, **more: Any) -> None:
        super().__init__(**more)
        self.rules_induction_program = Induction(self.num_rules, teacher_settings={"lm": strong})
        self.told = told
        self.scores: list[float] = []
        self.best: dict[str, Any] = {}
        """Its state: in DSPy 3.4.1 copies of a program share their instructions."""

    def evaluate_program(self, program: Any, dataset: Any) -> float:
        score = float(super().evaluate_program(program, dataset))
        if not self.scores or score > max(self.scores):
            self.best = program.dump_state()
        self.scores.append(score)
        if spent(self.told):
            raise BudgetSpentError
        return score


def post(url: str, body: dict[str, Any] | None = None) -> Any:
    """What a server on loopback answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=1800) as reply:  # noqa: S310
        return json.load(reply)


def spent(told: dict[str, Any]) -> bool:
    """Whether the search has had its tokens, or the strong model's characters."""
    if post(f"{told['search']}/used")["tokens"] >= told["budget"]:
        return True
    return bool(told["taught"]) and post(f"{told['strong']}/used")["characters"] >= told["taught"]


def infer_rules(told: dict[str, Any], program: Any, train: list[Any], metric: Any, strong: Any) -> tuple[Any, Any]:
    """The best program of ``InferRules``, and what was seen on the way."""
    # Its default of up to 16 labelled demonstrations shows "Not supplied for this particular example." in place of
    # reasoning, and a small model copies just that; without reasoning they stay.
    labelled = {"max_labeled_demos": 0} if reasons(told) else {}
    search = Frugal(
        told, strong, num_candidates=10, num_threads=told["at_once"], metric=metric, max_bootstrapped_demos=DEMOS,
        **labelled,
    )  # fmt: skip
    half = len(train) // 2
    found: dict[str, Any] = {}
    try:
        search.compile(program, trainset=train[:half], valset=train[half:][: told["selection"]])
    except BudgetSpentError:
        found["stopped"] = "the budget is spent"
    program.load_state(search.best)
    return program, found | {"scores": search.scores, "state": search.best}


def mipro(told: dict[str, Any], program: Any, train: list[Any], metric: Any, strong: Any) -> tuple[Any, Any]:
    """The best program of ``MIPROv2`` with its light settings, and what was seen on the way."""
    search = MIPROv2(
        metric=metric, prompt_model=strong, num_threads=told["at_once"], seed=told["seed"] % 2**32, auto="light"
    )
    best = search.compile(program, trainset=train[RANKED:], valset=train[:RANKED])
    scores = [one["score"] for one in best.candidate_programs]
    return best, {"scores": scores, "state": best.dump_state()}


OPTIMISERS = {"InferRules": infer_rules, "MIPROv2": mipro}


def reasons(told: dict[str, Any]) -> bool:
    """Whether the program has room to reason: with numbers. For a label it is known to hurt, and costs its tokens."""
    return bool(told.get("program", "ChainOfThought" if told["grader"] == "numeric" else "Predict") == "ChainOfThought")


def main(told: dict[str, Any]) -> dict[str, Any]:
    """Answer the test items with a program, optimised on the training items or not."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)

    def model(name: str, stage: str, most_output: int) -> Any:
        return dspy.LM(
            f"openai/{name}", api_base=f"{told[stage]}/v1", api_key="none", temperature=0.0, max_tokens=most_output,
            num_retries=0, timeout=3600,
        )  # fmt: skip

    def metric(example: Any, prediction: Any, trace: Any = None) -> bool:
        body = {"reply": str(prediction.answer), "expected": example.answer}
        return bool(post(told["grade"], body)["right"])

    dspy.configure(lm=model("model", "search", told["most_output"]))
    # The operator's prompt names the labels. With numbers it forbids the working that the program is there for.
    signature = dspy.Signature("question -> answer", *([told["prompt"]] if told["grader"] == "exact" else []))
    program = (dspy.ChainOfThought if reasons(told) else dspy.Predict)(signature)
    found: dict[str, Any] = {"program": type(program).__name__}
    if "optimiser" in told:
        train = [
            dspy.Example(question=one["question"], answer=one["expected"]).with_inputs("question")
            for one in told["train"]
        ]
        program, seen = OPTIMISERS[told["optimiser"]](told, program, train, metric, model("strong", "strong", LONG))
        found |= seen
    dspy.configure(lm=model("model", "test", told["most_output"]))

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
