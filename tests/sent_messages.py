"""Anthropic's wire, as its API answers: messages, their events, errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

WHOLE = {"content-type": "application/json", "request-id": "req_upstream"}
STREAM = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_upstream"}
COUNTS = {"input_tokens": 7, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 3}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def thought(text: str, signature: str = "c2ln") -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


def use(name: str, given: Mapping[str, Any], id_: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": given}


def message(*content: Mapping[str, Any], stop: str | None = None, **more: Any) -> dict[str, Any]:
    """A whole message; it ends as its content does."""
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": list(content),
        "stop_reason": stop or ("tool_use" if calls else "end_turn"), "stop_sequence": None, "usage": COUNTS, **more,
    }  # fmt: skip


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def events(whole: Mapping[str, Any], size: int = 4) -> list[bytes]:
    """A message as a stream, its texts in pieces of this many characters."""
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    return [
        event("message_start", message=begun),
        event("ping"),
        *(piece for index, block in enumerate(whole["content"]) for piece in _block(index, block, size)),
        event("message_delta", delta=ended, usage={"output_tokens": whole["usage"]["output_tokens"]}),
        event("message_stop"),
    ]


def _block(index: int, block: Mapping[str, Any], size: int) -> Iterator[bytes]:
    begun: Mapping[str, Any] = block
    deltas: Sequence[Mapping[str, Any]] = ()
    match block["type"]:
        case "text":
            begun = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _cut(block["text"], size)]
        case "thinking":
            begun = {**block, "thinking": "", "signature": ""}
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"], size)]
            deltas = [*pieces, {"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use":
            begun = {**block, "input": {}}
            given = json.dumps(block["input"]) if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _cut(given, size)]
    yield event("content_block_start", index=index, content_block=begun)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def failure(words: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_upstream"}


NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
GIVEN = st.dictionaries(NAMES, st.text(max_size=8) | st.integers(-9, 9) | st.booleans(), max_size=3)
CALLS = st.lists(st.tuples(NAMES, GIVEN), max_size=3).map(
    lambda calls: [use(name, given, f"toolu_{number}") for number, (name, given) in enumerate(calls)]
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
MESSAGES = st.builds(
    lambda reasoning, text, calls: message(
        *([thought(reasoning)] if reasoning else []), *([said(text)] if text else []), *calls
    ),
    TEXT, TEXT, CALLS,
)  # fmt: skip
"""Messages as a chat completion can hold them: thinking, then text, then calls."""
