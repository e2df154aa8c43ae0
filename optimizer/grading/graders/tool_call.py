"""Right if the reply calls the expected tools with the expected arguments. Does not look at the reply's text.

A call that is written out as text is none: the caller's code would not see it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain import ToolCall
from gateway.settings.graders import ToolCallGrader
from optimizer.grading.graders.canonical import NotJson, same, value_of
from optimizer.grading.graders.ungradable import Ungradable

_Call = tuple[str, Any]


def grade(grader: ToolCallGrader, tool_calls: Sequence[ToolCall], expected: Any) -> bool:
    """Whether the calls are the expected ones: names as text, arguments as JSON values."""
    wanted = _wanted(expected)
    if len(tool_calls) != len(wanted):
        return False
    try:
        given = [(call.name, _arguments(call.arguments)) for call in tool_calls]
    except NotJson:
        return False
    if grader.order:
        return all(_equal(one, other) for one, other in zip(given, wanted, strict=True))
    for call in given:
        place = next((index for index, one in enumerate(wanted) if _equal(call, one)), None)
        if place is None:
            return False
        del wanted[place]
    return True


def label(tool_calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The calls themselves. Raises ``Ungradable`` if their arguments are not JSON."""
    calls = _readable(tool_calls)
    _wanted(calls)
    return calls


def shown(text: str, tool_calls: Sequence[ToolCall]) -> str:
    """A reply with its calls as one text, for whoever reads it; the calls are in the form of an expected value."""
    if not tool_calls:
        return text
    written = msgspec.json.encode(_readable(tool_calls)).decode()
    return f"{text}\n{written}" if text else written


def _wanted(expected: Any) -> list[_Call]:
    """The expected calls; a text is read as JSON."""
    try:
        value = value_of(expected) if isinstance(expected, str) else expected
        return [_call(one) for one in (value if isinstance(value, list) else [value])]
    except NotJson as error:
        raise Ungradable(expected, 'a tool call {"name": ..., "arguments": {...}} or a list of them') from error


def _call(value: Any) -> _Call:
    """One expected call; also in the form in which OpenAI's replies have it. Raises ``NotJson`` if it is none."""
    call = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise NotJson("no tool call")
    arguments = call.get("arguments", {})
    return call["name"], _arguments(arguments) if isinstance(arguments, str) else arguments


def _arguments(text: str) -> Any:
    """Arguments as a value; tools without parameters are called with an empty text as well as with ``{}``."""
    return value_of(text) if text.strip() else {}


def _equal(one: _Call, other: _Call) -> bool:
    return one[0] == other[0] and same(one[1], other[1])


def _readable(tool_calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The calls in the form of an expected value; arguments that are not JSON stay the text that they are."""
    return [{"name": call.name, "arguments": _value_or_text(call.arguments)} for call in tool_calls]


def _value_or_text(arguments: str) -> Any:
    try:
        return _arguments(arguments)
    except NotJson:
        return arguments
