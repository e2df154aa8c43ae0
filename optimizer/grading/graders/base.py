"""The contract of a grader: the objects that compare a reply with an expected answer.

A grader sees the reply as its caller received it. Only ``decide`` may ask a model, through a function passed
in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from gateway.domain import ToolCall, Value
from optimizer.grading.graders.ungradable import Ungradable, text_of

AskJudge = Callable[[str, bytes, bytes], Awaitable[str]]
"""Ask a model, by configured name, for a verdict: the chat body with a ``response_format``, and the body without."""


class Submission(Value, frozen=True):
    """A reply to grade, as its caller received it."""

    text: str
    tool_calls: tuple[ToolCall, ...] | None = ()
    """``None`` for a recorded reply without a record of its calls."""
    request: bytes = b"{}"
    """The chat body that the reply answers."""


class Grade(Value, frozen=True):
    """The score of a reply."""

    score: float
    """1.0 for a right reply, down to 0.0."""
    remark: str = ""
    """The grader's own words about a reply that is not right, for the strong model; the reply may be quoted in them."""


class ReplyGrader(Protocol):
    """A comparison of replies with expected answers, configured for a task. The defaults fit a grader that compares by
    itself, in microseconds."""

    is_slow: bool = False
    """Grading takes so long that it must not run on the event loop."""
    grades_records: bool = True
    """Recorded replies can be graded without a model."""
    can_label: bool = True
    """A right reply can serve as the expected answer for other replies."""
    is_judged: bool = False
    """A model decides, so that a second grading of the same reply may come out differently."""
    judge: str | None = None
    """Configured name of the model that decides."""

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for a right reply, less for others, down to 0.0.

        Raises ``Ungradable`` for an ``expected`` that fits no reply, ``GraderFailed`` for a reply without a verdict,
        and ``NoSandbox``.
        """
        ...

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Grade with a remark, if the grader has any to make. Raises the errors of ``grade``."""
        return Grade(score=self.grade(submission, expected))

    async def decide(self, submission: Submission, expected: Any, ask: AskJudge) -> Grade:
        """Assess, off the event loop if that is slow, with a model if it decides. Raises the errors of both."""
        if self.is_slow:
            return await asyncio.to_thread(self.assess, submission, expected)
        return self.assess(submission, expected)

    def obvious(self, submission: Submission, expected: Any) -> bool | None:
        """Decide without a model whether the reply is right; ``None`` if only a model can."""
        return self.grade(submission, expected) == 1.0

    def examine(self, expected: Any) -> None:
        """Raise ``Ungradable`` for an ``expected`` that fits no reply. Runs no foreign code."""
        self.grade(Submission(text=""), expected)

    def label(self, submission: Submission) -> Any:
        """Return the expected answer behind a right reply. Raises ``Ungradable`` for a reply without one."""
        raise Ungradable(submission.text, "a reply that reveals the expected answer")

    def contradict(self, first: Any, second: Any) -> bool:
        """Decide whether two expected answers to the same question exclude each other."""
        return text_of(first) != text_of(second)

    def mistakes(self) -> list[str]:
        """List the mistakes of the configured section on this machine, each after its key."""
        return []
