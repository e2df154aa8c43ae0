"""Recorded requests to ``/responses`` as chat bodies, so that they teach like any chat.

A request to ``/messages`` is recorded as a chat already. Parts without a counterpart in a chat (a conversation kept by
the server, the provider's own tools, files) are refused, never dropped: without them it would be another question.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.errors import BadRequest

_SAME = ("temperature", "top_p", "parallel_tool_calls")
_TRANSLATED = ("input", "instructions", "tools", "tool_choice", "text", "reasoning", "max_output_tokens")
# Fields of one delivery and its bill, not of the question.
_DELIVERY = frozenset({
    "model", "stream", "stream_options", "metadata", "store", "user", "service_tier", "safety_identifier", "include",
    "background", "truncation", "prompt_cache_key", "prompt_cache_retention", "top_logprobs",
})  # fmt: skip

Message = dict[str, Any]


def chat_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the chat body with the question of a recorded body; any body except one to ``/responses`` stays as it is.

    Raises ``BadRequest`` for a part without a counterpart in a chat, and names it.
    """
    if "messages" in body or "input" not in body:
        return body
    given = {name: value for name, value in body.items() if value is not None and name not in _DELIVERY}
    for name in given:
        if name not in _SAME and name not in _TRANSLATED:
            raise _foreign(name)
    text, reasoning = _object(given, "text"), _object(given, "reasoning")
    translated = {
        "messages": _conversation(given.get("instructions"), given.get("input")),
        "tools": [_tool(tool) for tool in given.get("tools") or ()] or None,
        "tool_choice": _choice(given.get("tool_choice")),
        "response_format": _format(text.get("format")),
        "verbosity": text.get("verbosity"),
        "reasoning_effort": reasoning.get("effort"),
        "max_completion_tokens": given.get("max_output_tokens"),
        **{name: given.get(name) for name in _SAME},
    }
    return {name: value for name, value in translated.items() if value is not None}


def _foreign(where: str) -> BadRequest:
    return BadRequest(f"{where!r} of this request to /responses has no counterpart in a chat", param=where)


def _object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise _foreign(name)
    return value


def _conversation(instructions: Any, given: Any) -> list[Message]:
    """Return the messages; calls in a row join the model's message before them, as in a chat."""
    messages: list[Message] = []
    if isinstance(instructions, str) and instructions:
        messages.append({"role": "system", "content": instructions})
    elif instructions:
        raise _foreign("instructions")
    for message in [{"role": "user", "content": given}] if isinstance(given, str) else _messages(given):
        if "tool_calls" in message and messages and messages[-1]["role"] == "assistant":
            earlier = messages[-1]
            messages[-1] = {**earlier, "tool_calls": [*earlier.get("tool_calls", ()), *message["tool_calls"]]}
        else:
            messages.append(message)
    return messages


def _messages(items: Any) -> Iterator[Message]:
    if not isinstance(items, list):
        raise _foreign("input")
    for index, item in enumerate(items):
        match item:
            case {"type": "reasoning"}:
                continue  # another model's thoughts: a chat has no place for them
            case {"type": "function_call", "call_id": str(call), "name": str(name), "arguments": str(arguments)}:
                function = {"name": name, "arguments": arguments}
                calls = [{"id": call, "type": "function", "function": function}]
                yield {"role": "assistant", "content": None, "tool_calls": calls}
            case {"type": "function_call_output", "call_id": str(call), "output": output}:
                yield {"role": "tool", "tool_call_id": call, "content": _content(output, f"input[{index}].output")}
            case {"role": str(role), "content": content} if item.get("type", "message") == "message":
                yield {"role": role, "content": _content(content, f"input[{index}].content")}
            case _:
                raise _foreign(f"input[{index}]")


def _content(content: Any, where: str) -> str | Sequence[Message]:
    """Return a content as parts; a lone text, in either shape, as a text."""
    match content:
        case str(text) | [{"type": "input_text" | "output_text" | "text", "text": str(text)}]:
            return text
        case list(parts):
            return [_part(part, f"{where}[{index}]") for index, part in enumerate(parts)]
        case _:
            raise _foreign(where)


def _part(part: Any, where: str) -> Message:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url)}:
            detail = part.get("detail")
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}
        case _:
            raise _foreign(where)


def _tool(tool: Any) -> Message:
    match tool:
        case {"type": "function", "name": str()}:
            return {"type": "function", "function": _without_type(tool)}
        case _:
            raise _foreign("tools")


def _choice(choice: Any) -> Any:
    match choice:
        case None | "auto" | "none" | "required":
            return choice
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case _:
            raise _foreign("tool_choice")


def _format(wanted: Any) -> Any:
    match wanted:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case {"type": "json_schema", "name": str(), "schema": dict()}:
            return {"type": "json_schema", "json_schema": _without_type(wanted)}
        case _:
            raise _foreign("text")


def _without_type(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name != "type" and part is not None}
