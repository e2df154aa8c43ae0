"""The grader ``tool_call``: right if the reply calls the expected tools with the expected arguments.

A call that is only written out in the text does not count, because the caller's code would not see it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain import ToolCall
from gateway.settings.graders import ToolCallGrader
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.canonical import NotJson, same, value_of
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable

_Call = tuple[str, Any]


class ExpectedCalls(ReplyGrader):
    """Compare the reply's calls with the expected calls: names as text, arguments as JSON values."""

    def __init__(self, settings: ToolCallGrader) -> None:
        self._in_order = settings.order

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for the expected calls. Raises ``GraderFailed`` for a reply without a record of its calls."""
        wanted = _wanted(expected)
        if submission.tool_calls is None:
            raise GraderFailed("the reply's tool calls are not known")
        if len(submission.tool_calls) != len(wanted):
            return 0.0
        try:
            given = [(call.name, _arguments(call.arguments)) for call in submission.tool_calls]
        except NotJson:
            return 0.0
        if self._in_order:
            return float(all(_equal(call, other) for call, other in zip(given, wanted, strict=True)))
        for call in given:
            place = next((index for index, other in enumerate(wanted) if _equal(call, other)), None)
            if place is None:
                return 0.0
            del wanted[place]
        return 1.0

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Grade, with the first difference of the calls. Raises the errors of ``grade``."""
        score = self.grade(submission, expected)
        return Grade(score=score, remark="" if score == 1.0 else _difference(submission.tool_calls or (), expected))

    def label(self, submission: Submission) -> list[dict[str, Any]]:
        """Return the calls themselves. Raises ``Ungradable`` for unknown calls, arguments other than JSON, and an empty
        reply."""
        if submission.tool_calls is None or not (submission.tool_calls or submission.text.strip()):
            raise Ungradable(submission.text, "a reply with a text or with tool calls")
        calls = _readable(submission.tool_calls)
        _wanted(calls)
        return calls


def shown(submission: Submission) -> str:
    """Return a reply as one text, its calls in the form of an expected value."""
    if not submission.tool_calls:
        return submission.text
    written = msgspec.json.encode(_readable(submission.tool_calls)).decode()
    return f"{submission.text}\n{written}" if submission.text else written


def _wanted(expected: Any) -> list[_Call]:
    """Return the expected calls; a text is read as JSON."""
    try:
        value = value_of(expected) if isinstance(expected, str) else expected
        return [_call(call) for call in (value if isinstance(value, list) else [value])]
    except NotJson as error:
        raise Ungradable(expected, 'a tool call {"name": ..., "arguments": {...}} or a list of them') from error


def _difference(tool_calls: Sequence[ToolCall], expected: Any) -> str:
    """Name the first difference between calls and expected calls."""
    wanted, names = _wanted(expected), [call.name for call in tool_calls]
    if names != [name for name, _ in wanted]:
        return f"called: {', '.join(names) or 'no tool'}; expected: {', '.join(name for name, _ in wanted) or 'none'}"
    for call, (name, arguments) in zip(tool_calls, wanted, strict=True):
        try:
            given = _arguments(call.arguments)
        except NotJson:
            return f"the arguments of {name} are not JSON"
        if isinstance(given, dict) and isinstance(arguments, dict):
            keys = dict.fromkeys((*arguments, *given))
            wrong = [key for key in keys if key not in given or key not in arguments or given[key] != arguments[key]]
            if wrong:
                return f"arguments of {name} that are missing, wrong or too many: {', '.join(wrong)}"
    return ""


def _call(value: Any) -> _Call:
    """Return an expected call, also from the form of OpenAI's replies. Raises ``NotJson`` for anything else."""
    call = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise NotJson("no tool call")
    arguments = call.get("arguments", {})
    return call["name"], _arguments(arguments) if isinstance(arguments, str) else arguments


def _arguments(text: str) -> Any:
    """Return arguments as a value; an empty text is as good as ``{}`` for a tool without parameters."""
    return value_of(text) if text.strip() else {}


def _equal(first: _Call, second: _Call) -> bool:
    return first[0] == second[0] and same(first[1], second[1])


def _readable(tool_calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Return the calls in the form of an expected value; arguments other than JSON stay text."""
    return [{"name": call.name, "arguments": _value_or_text(call.arguments)} for call in tool_calls]


def _value_or_text(arguments: str) -> Any:
    try:
        return _arguments(arguments)
    except NotJson:
        return arguments
