"""Signs in a reply that it failed its caller, recognised without labels and without a model.

Each is an obstacle for the caller's own code or reader. A sign counts against a rule set, so a missed sign is better
than a false alarm. No sign is no proof of a right reply. Repeated questions are ``dataset.conversation``'s.
"""

from collections.abc import Mapping
from typing import Any, Literal

from gateway.domain import Exchange, ToolCall
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.refusal import refuses
from optimizer.grading.graders.canonical import LONGEST, NotJson, value_of
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
    """Return every sign of failure in an exchange, in the order of ``Signal``; never raises.

    - ``refusal``: a filter ended the reply, or the reply begins with a refusal (see ``refusal``).
    - ``truncated``: the reply was cut off, though the caller allowed more than 16 tokens.
    - ``empty``: neither text nor a call.
    - ``invalid_json``: the request asked for JSON, and the text is none.
    - ``schema``: the text is JSON, but no object or against the request's schema.
    - ``tool_arguments``: a call of an unknown tool, or with arguments that are no object or do not fit.
    - ``loop``: the reply repeats itself to its end.

    An exchange that did not end ``ok``, or keeps no reply, shows no signs.
    """
    if exchange.status != "ok" or exchange.reply is None:
        return ()
    request = read_request(exchange.request)
    body, text, end = request.body, exchange.reply, (exchange.finish_reason or "").lower()
    cut = end in _CUT
    signs: list[Signal] = []
    if end in _REFUSED or refuses(text, request):
        signs.append("refusal")
    if cut and not (text and _wants_few(body)):
        signs.append("truncated")
    if not _calls(exchange, end):
        if not text.strip():
            signs += ["empty"] if end not in _UNKNOWN and _text_is_all(body) else []
        else:
            signs += _misformed(text, body)
    if exchange.tool_calls and not all(_callable(call, body) for call in exchange.tool_calls):
        signs.append("tool_arguments")
    if loops(text, cut=cut):
        signs.append("loop")
    return tuple(signs)


def _calls(exchange: Exchange, end: str) -> bool:
    """Decide whether a reply calls a tool; calls of tools other than functions are not recorded, but end the reply."""
    return bool(exchange.tool_calls) or end in _CALLED


def _text_is_all(body: Mapping[str, Any]) -> bool:
    """Decide whether a reply can only be text and calls of functions: no sound, no tools of another kind."""
    return body.get("modalities") in (None, ["text"]) and all(_is_function(tool) for tool in _offered(body))


def _wants_few(body: Mapping[str, Any]) -> bool:
    limits = [body.get(name) for name in _LIMITS]
    return any(isinstance(limit, int) and limit <= _FEW for limit in limits)


def _misformed(text: str, body: Mapping[str, Any]) -> list[Signal]:
    """Return the faults of a text under a request for JSON."""
    schema = _wanted(body)
    if schema is None or len(text) > LONGEST:
        return []
    try:
        value = value_of(text)
    except NotJson:
        return ["invalid_json"]
    return [] if fits(value, schema, len(text)) else ["schema"]


def _wanted(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema for the reply: a chat's, a response's, or Ollama's; ``None`` for any text."""
    wanted = body.get("response_format") or _object(body.get("text")).get("format") or body.get("format")
    if wanted == "json":
        return {"type": "object"}
    wanted = _object(wanted)
    match wanted.get("type"):
        case "json_object":
            return _object(wanted.get("schema")) or {"type": "object"}
        case "json_schema":
            return _object(wanted.get("schema")) or _object(_object(wanted.get("json_schema")).get("schema"))
        case "text":
            return None
    return wanted if wanted and wanted is body.get("format") else None


def _callable(call: ToolCall, body: Mapping[str, Any]) -> bool:
    """Decide whether the caller's code can carry out a call."""
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
