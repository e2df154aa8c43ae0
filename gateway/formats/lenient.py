"""Replies with wrong accounting, made readable: a client's SDK would not look at these fields, so they break nothing.

Servers send fractional counts, ``usage: []``, numeric ids, ``index: null``. Such a value counts as missing; texts and
tool calls must still be right. Used only for replies that the strict decoders refuse.
"""

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
    }
