"""Graders as the tests of their kinds call them: by a configured section and a reply's text."""

from collections.abc import Sequence
from typing import Any

from gateway.domain import ToolCall
from gateway.settings import Grader
from optimizer.grading.graders import Submission, grader_for


def grade(
    section: Grader, reply: str, expected: Any, *, tool_calls: Sequence[ToolCall] = (), request: bytes = b"{}"
) -> float:
    """Return a section's score of a reply."""
    submission = Submission(text=reply, tool_calls=tuple(tool_calls), request=request)
    return grader_for(section).grade(submission, expected)


def label(section: Grader, reply: str, tool_calls: Sequence[ToolCall] | None = ()) -> Any:
    """Return the expected answer behind a right reply."""
    calls = None if tool_calls is None else tuple(tool_calls)
    return grader_for(section).label(Submission(text=reply, tool_calls=calls))


def mistakes(section: Grader) -> list[str]:
    """List the mistakes of a section on this machine."""
    return grader_for(section).mistakes()
