"""The questions of the live benchmark: test items that no row may touch before it is measured, and items to learn from.

Everything follows from a seed. Does not ask anybody anything.
"""

import gzip
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import click
import msgspec

from gateway.domain import Value
from gateway.settings import NumericGrader
from optimizer.demo.problems import BASE_PROMPT, problems
from optimizer.grading.graders import GraderFailed, Submission, grader_for

GSM8K: Final = Path(__file__).parents[5] / "shared" / "data" / "gsm8k_test.jsonl.gz"
STRICT, LENIENT = NumericGrader(), NumericGrader(take="last")
"""What the caller was promised (one number), and what a caller who looks for the last number would take."""


class Question(Value, frozen=True):
    """A question and its answer, in the words of its source."""

    question: str
    expected: str


class Questions(Value, frozen=True):
    """What a run is about. ``train`` and ``test`` share no question."""

    task: str
    seed: int
    train: tuple[Question, ...]
    test: tuple[Question, ...]


def questions(task: str, seed: int, *, train: int, test: int, gsm8k: Path = GSM8K) -> Questions:
    """The questions of a task: ``word-problems`` are generated, ``gsm8k`` is drawn from a file."""
    wanted = train + test
    if task == "word-problems":
        made = [Question(question=one.question, expected=str(one.answer)) for one in islice(problems(seed), wanted)]
    else:
        made = _drawn(gsm8k, seed, wanted)
    return Questions(task=task, seed=seed, test=tuple(made[:test]), train=tuple(made[test:]))


def _drawn(file: Path, seed: int, count: int) -> list[Question]:
    if not file.exists():
        raise click.ClickException(f"there is no {file.name}: say where it is with --gsm8k")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        every = [json.loads(line) for line in lines]
    chosen = Random(seed).sample(every, count)
    return [Question(question=one["input"], expected=one["expected"]) for one in chosen]


def messages(prompt: str, question: str) -> list[dict[str, str]]:
    """A chat of a system prompt and a question."""
    return [{"role": "system", "content": prompt}, {"role": "user", "content": question}]


def examples(some: Sequence[Question]) -> bytes:
    """A data file for ``preceptor distill``."""
    lines = [{"messages": messages(BASE_PROMPT, one.question), "expected": one.expected} for one in some]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def right(reply: Any, expected: str, *, lenient: bool = False) -> bool:
    """Whether a reply states the expected number; one that cannot be graded does not."""
    grader = grader_for(LENIENT if lenient else STRICT)
    try:
        return isinstance(reply, str) and grader.grade(Submission(text=reply), expected) == 1.0
    except GraderFailed:
        return False
