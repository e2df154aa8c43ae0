"""The questions of the live benchmark: test items that no row may touch before it is measured, and items to learn from.

Everything follows from a seed. Does not ask anybody anything.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from gateway.domain import Value
from gateway.settings import ExactGrader, Grader, NumericGrader
from optimizer.grading.graders import GraderFailed, Submission, grader_for

GraderKind = Literal["numeric", "exact"]
STRICT: Final[dict[GraderKind, Grader]] = {"numeric": NumericGrader(), "exact": ExactGrader(ignore_case=True)}
"""What the caller was promised: one number, or the text alone."""
SECTIONS: Final[dict[GraderKind, str]] = {
    "numeric": '{ kind = "numeric" }', "exact": '{ kind = "exact", ignore_case = true }',
}  # fmt: skip
"""The same graders in a configuration."""
LENIENT: Final = NumericGrader(take="last")
"""What a caller who looks for the last number would take."""


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
    prompt: str
    """The operator's, which every row starts from."""
    grader: GraderKind = "exact"
    labels: tuple[str, ...] = ()
    truth: str = ""
    """The true rules in words, where they are known."""
    later: "Questions | None" = None
    """The same task after a change of its policy."""


def messages(prompt: str, question: str) -> list[dict[str, str]]:
    """A chat of a system prompt and a question."""
    return [{"role": "system", "content": prompt}, {"role": "user", "content": question}]


def examples(prompt: str, some: Sequence[Question]) -> bytes:
    """A data file for ``preceptor distill``."""
    lines = [{"messages": messages(prompt, one.question), "expected": one.expected} for one in some]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def right(reply: Any, expected: str, *, grader: GraderKind = "numeric", lenient: bool = False) -> bool:
    """Whether a reply is what was expected; one that cannot be graded is not."""
    section = LENIENT if lenient and grader == "numeric" else STRICT[grader]
    try:
        return isinstance(reply, str) and grader_for(section).grade(Submission(text=reply), expected) == 1.0
    except GraderFailed:
        return False
