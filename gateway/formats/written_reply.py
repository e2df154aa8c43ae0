"""Replies with a text of the gateway's own behind a hidden answer of the model. Pure.

Nothing of the hidden answer is in them but the model's name, its time and the usage of all passes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from gateway.domain import Usage
from gateway.formats.envelope import decode_object, raw
from gateway.formats.reply import from_upstream
from gateway.formats.sent_message import recounted_message
from gateway.formats.usage import recounted

_KEPT = ("created", "model", "system_fingerprint", "service_tier")
_TEXT = {"type": "output_text", "annotations": [], "logprobs": []}


def written_completion(hidden: bytes, exchange_id: str, text: str, usage: Usage) -> bytes:
    """Return a chat completion with this text."""
    fields = _fields(hidden, "a chat completion")
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = _head(fields, exchange_id, "chat.completion")
    return msgspec.json.encode({**head, "choices": [choice], "usage": recounted(fields.get("usage"), usage)})


def written_response(hidden: bytes, caller: Mapping[str, Raw], text: str, usage: Usage) -> dict[str, Any]:
    """Return a response with this text. It repeats the ``caller``'s fields, not those of the hidden request."""
    fields = _fields(hidden, "a response")
    repeated: dict[str, Any] = {
        "instructions": None, "max_output_tokens": None, "metadata": {}, "text": {"format": {"type": "text"}},
        "tool_choice": "auto", "tools": [], "parallel_tool_calls": True,
    }  # fmt: skip
    own = {name: caller[name] for name in repeated if name in caller and bytes(caller[name]) != b"null"}
    id_ = msgspec.json.decode(fields["id"], type=str)
    part = {**_TEXT, "text": text}
    item = {"id": f"msg_{id_.removeprefix('resp_')}", "type": "message", "status": "completed", "role": "assistant"}
    return {
        **fields, **repeated, **own, "status": "completed", "error": None, "incomplete_details": None,
        "output": [{**item, "content": [part]}],
        "usage": recounted(fields.get("usage"), usage, prompt="input_tokens", output="output_tokens"),
    }  # fmt: skip


def written_message(hidden: bytes, exchange_id: str, text: str, usage: Usage) -> dict[str, Any]:
    """Return a message with this text."""
    fields = _fields(hidden, "a message")
    reported = msgspec.json.decode(fields["usage"]) if "usage" in fields else None
    return {
        "id": fields.get("id", exchange_id), "type": "message", "role": "assistant", "model": fields.get("model"),
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": recounted_message(reported, usage),
    }  # fmt: skip


def _fields(hidden: bytes, expected: str) -> dict[str, Raw]:
    with from_upstream(expected):
        return decode_object(hidden)


def _head(fields: Mapping[str, Raw], exchange_id: str, kind: str) -> dict[str, Any]:
    kept = {name: fields[name] for name in _KEPT if name in fields}
    return {"id": raw(exchange_id), "object": kind, **kept}
