"""Replies with wrong accounting, made readable: a client's SDK would not look at these fields, so they break nothing.

Servers send fractional counts, ``usage: []``, numeric ids, ``index: null``: such a value counts as missing. They send
contents as lists, arguments as objects, items of new types: those are read as far as they are known. Used only for
replies that the strict decoders refuse.
"""

import json
from collections.abc import Mapping
from typing import Any

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens")


def relaxed(value: Any) -> Any:
    """Return a decoded reply, chunk or event without the accounting that has a wrong type."""
    if not isinstance(value, dict):
        return value
    fields = {name: inner for name, inner in value.items() if name != "id" or isinstance(inner, str)}
    if "usage" in fields:
        fields["usage"] = _usage(fields["usage"])
    if isinstance(fields.get("choices"), list):
        fields["choices"] = [_choice(choice, place) for place, choice in enumerate(fields["choices"])]
    if isinstance(fields.get("output"), list):
        fields["output"] = [_item(item) for item in fields["output"]]
    if isinstance(fields.get("response"), dict):
        fields["response"] = relaxed(fields["response"])
    return fields


def _usage(usage: Any) -> Any:
    if not isinstance(usage, dict):
        return None
    return {
        name: _usage(inner) if name.endswith("_details") else inner
        for name, inner in usage.items()
        if name not in _COUNTS or (isinstance(inner, int) and not isinstance(inner, bool) and inner >= 0)
    }


def _choice(choice: Any, place: int) -> Any:
    if not isinstance(choice, dict):
        return choice
    index, reason = choice.get("index"), choice.get("finish_reason")
    return {
        **choice,
        "index": index if isinstance(index, int) and not isinstance(index, bool) else place,
        "finish_reason": reason if isinstance(reason, str) else None,
        **{name: _message(choice[name]) for name in ("message", "delta") if name in choice},
    }


def _message(message: Any) -> Any:
    """Return a message, or a piece of one, with a text as its content and texts as the arguments of its calls."""
    if not isinstance(message, dict):
        return message
    fields = dict(message)
    if isinstance(fields.get("content"), list):
        parts = [part for part in fields["content"] if isinstance(part, dict)]
        fields["content"] = "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    if isinstance(fields.get("tool_calls"), list):
        fields["tool_calls"] = [_call(call) for call in fields["tool_calls"] if isinstance(call, dict)]
    return fields


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    index, function = call.get("index"), call.get("function")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    return {
        **call,
        "index": index if isinstance(index, int) and not isinstance(index, bool) else None,
        "id": call["id"] if isinstance(call.get("id"), str) else None,
        "function": _with_text(function) if isinstance(function, dict) else None,
    }


def _with_text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call with its arguments as JSON in a text."""
    given = fields.get("arguments")
    return {**fields, "arguments": given if given is None or isinstance(given, str) else json.dumps(given)}


def _item(item: Any) -> Any:
    """Return an item of a response; of an unknown one only the known shapes."""
    if not isinstance(item, dict):
        return item
    content = item.get("content")
    return {
        **_with_text(item),
        "type": item["type"] if isinstance(item.get("type"), str) else "",
        "name": item["name"] if isinstance(item.get("name"), str) else None,
        "content": [part for part in content if _is_part(part)] if isinstance(content, list) else None,
    }


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type", ""), str)


def objects(values: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; nothing of any other shape."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list | tuple) else []
