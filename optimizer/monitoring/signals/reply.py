"""Signs in a reply that it failed its caller, found without labels and without a model.

Each is something that the caller's own code or reader would stumble over. All are meant to be missed rather than
raised by mistake, because what they find counts against a rule set. None says that a reply is right. Whether a
question was asked again is ``conversation``'s.
"""

from collections.abc import Mapping
from typing import Any, Literal

from gateway.domain import Exchange, ToolCall
from optimizer.dataset.recorded_request import read_request
from optimizer.grading.graders.canonical import LONGEST, NotJson, value_of
from optimizer.monitoring.signals.refusal import refuses
from optimizer.monitoring.signals.repetition import loops
from optimizer.monitoring.signals.schema import fits

Signal = Literal["refusal", "truncated", "empty", "invalid_json", "schema", "tool_arguments", "loop"]

_REFUSED = frozenset({"content_filter", "refusal", "safety"})
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
_CALLED = frozenset({"tool_calls", "function_call"})
_UNKNOWN = frozenset({"", "queued", "in_progress", "cancelled"})
"""Ends of a reply that the caller fetches later, that is no text (an embedding), or that says nothing of its end."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_FEW = 16
"""Tokens: who allows no more (to read a class or its probability) wants the beginning of a reply only."""


def signals(exchange: Exchange) -> tuple[Signal, ...]:
    """Every sign of failure in an exchange, in the order of ``Signal``; never raises.

    - ``refusal``: a filter ended the reply, or the reply begins with a refusal (see ``refusal``).
    - ``truncated``: it was cut off, though the caller allowed more than 16 tokens.
    - ``empty``: neither text nor a call.
    - ``invalid_json``: JSON was asked for, and the text is none.
    - ``schema``: it is JSON, but no object or not what the request's schema says.
    - ``tool_arguments``: a call of a tool that was not offered, or with arguments that are no object or do not fit.
    - ``loop``: it says the same over and over to its end.

    Nothing for an exchange that did not end ``ok`` or that keeps no reply.
    """
    if exchange.status != "ok" or exchange.reply is None:
        return ()
    request = read_request(exchange.request)
    body, text, end = request.body, exchange.reply, (exchange.finish_reason or "").lower()
    cut = end in _CUT
    found: list[Signal] = []
    if end in _REFUSED or refuses(text, request):
        found.append("refusal")
    if cut and not (text and _wants_few(body)):
        found.append("truncated")
    if not _calls(exchange, end):
        if not text.strip():
            found += ["empty"] if end not in _UNKNOWN and _text_is_all(body) else []
        else:
            found += _misformed(text, body)
    if exchange.tool_calls and not all(_callable(call, body) for call in exchange.tool_calls):
        found.append("tool_arguments")
    if loops(text, cut=cut):
        found.append("loop")
    return tuple(found)


def _calls(exchange: Exchange, end: str) -> bool:
    """Whether a reply calls a tool, also one that is not recorded because it is no function."""
    return bool(exchange.tool_calls) or end in _CALLED


def _text_is_all(body: Mapping[str, Any]) -> bool:
    """Whether there is nothing to reply with but text and calls of functions: no sound, no tools of another kind."""
    return body.get("modalities") in (None, ["text"]) and all(_is_function(tool) for tool in _offered(body))


def _wants_few(body: Mapping[str, Any]) -> bool:
    limits = [body.get(name) for name in _LIMITS]
    return any(isinstance(limit, int) and limit <= _FEW for limit in limits)


def _misformed(text: str, body: Mapping[str, Any]) -> list[Signal]:
    """What is wrong with a text where the request asked for JSON."""
    schema = _wanted(body)
    if schema is None or len(text) > LONGEST:
        return []
    try:
        value = value_of(text)
    except NotJson:
        return ["invalid_json"]
    return [] if fits(value, schema, len(text)) else ["schema"]


def _wanted(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema that a reply must fit: a chat's, a response's, or one in Ollama's way; ``None`` for any text."""
    told = body.get("response_format") or _object(body.get("text")).get("format") or body.get("format")
    if told == "json":
        return {"type": "object"}
    told = _object(told)
    match told.get("type"):
        case "json_object":
            return _object(told.get("schema")) or {"type": "object"}
        case "json_schema":
            return _object(told.get("schema")) or _object(_object(told.get("json_schema")).get("schema"))
        case "text":
            return None
    return told if told and told is body.get("format") else None


def _callable(call: ToolCall, body: Mapping[str, Any]) -> bool:
    """Whether the caller's code can carry out a call."""
    try:
        arguments = value_of(call.arguments) if call.arguments.strip() else {}
    except NotJson:
        return False
    if not isinstance(arguments, dict):
        return False
    offered = _offered(body)
    tools = [_object(tool.get("function")) or tool for tool in offered if _is_function(tool)]
    tool = next((tool for tool in tools if tool.get("name") == call.name), None)
    if tool is None:
        # A server's own tools and stored prompts bring names along that no request holds.
        return len(tools) < len(offered) or "prompt" in body
    return fits(arguments, _object(tool.get("parameters")), len(call.arguments))


def _offered(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    tools = body.get("tools")
    return [_object(tool) for tool in tools] if isinstance(tools, list) else []


def _is_function(tool: Mapping[str, Any]) -> bool:
    return tool.get("type") in (None, "function")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
