"""A message as Anthropic's API sends it: blocks, events of a stream, the end and the counts. Pure.

Decoded as far as it is used; fields and block types that do not exist yet are passed over.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from gateway.domain import NO_USAGE, ToolCall, Usage
from gateway.formats.lenient import relaxed
from gateway.formats.reply import UNREADABLE, garbage
from gateway.formats.usage import count_of

T = TypeVar("T")

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Stop reasons in the words of a chat completion."""
_INPUTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""Counts that make up the prompt: each token is in one of them."""


class SentBlock(msgspec.Struct):
    """A block of a message, or the piece of it that a stream begins with."""

    type: str = ""
    text: Any = None
    thinking: Any = None
    signature: Any = None
    data: Any = None
    id: Any = None
    name: Any = None
    input: Raw = Raw()


class SentDelta(msgspec.Struct):
    """A further piece of a block, or the end of a message."""

    type: str = ""
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    stop_reason: Any = None


class SentMessage(msgspec.Struct):
    """A message, whole or as a stream begins it."""

    id: str | None = None
    type: Any = None
    model: Any = None
    content: list[SentBlock] | None = None
    stop_reason: Any = None
    usage: Any = None

    def text(self) -> str:
        """Return the text of all blocks. A reply with citations has several, cut anywhere."""
        return "".join(words(block.text) for block in self.content or () if block.type == "text")

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the calls of the client's tools; Anthropic runs its own."""
        return tuple(
            ToolCall(name=words(block.name), arguments=arguments(block.input))
            for block in self.content or ()
            if block.type == "tool_use"
        )


class SentEvent(msgspec.Struct):
    """An event of a stream."""

    type: str = ""
    index: Any = None
    message: SentMessage | None = None
    content_block: SentBlock | None = None
    delta: SentDelta | None = None
    usage: Any = None
    error: Any = None


_message = msgspec.json.Decoder(SentMessage)
_event = msgspec.json.Decoder(SentEvent)


def read_message(body: bytes) -> SentMessage:
    """Decode a message. Raises ``UpstreamGarbage`` if it is none."""
    return _read(_message, body, "a message")


def read_event(data: bytes) -> SentEvent:
    """Decode an event of a stream. Raises ``UpstreamGarbage`` if it is none."""
    return _read(_event, data, "an event of a message")


def _read(decoder: msgspec.json.Decoder[T], data: bytes, expected: str) -> T:
    """Decode as leniently as the clients' own readers: wrong accounting and half characters break nothing."""
    try:
        return decoder.decode(data)
    except UNREADABLE:
        try:
            text = json.dumps(relaxed(json.loads(data)), ensure_ascii=False)
            return decoder.decode(text.encode("utf-8", "replace"))
        except (ValueError, *UNREADABLE):
            raise garbage(expected) from None


def words(value: Any) -> str:
    """Return a text; anything else is none."""
    return value if isinstance(value, str) else ""


def arguments(given: Raw) -> str:
    """Return the input of a call as it was written; none at all is an empty object."""
    return bytes(given).decode("utf-8", "replace") or "{}"


def finish_reason(stop_reason: Any) -> str | None:
    """Return the reason for the end in the words of a chat completion; a new reason keeps its name."""
    return _FINISH.get(stop_reason, stop_reason) if isinstance(stop_reason, str) else None


def counted_message(reported: Any) -> Usage:
    """Read a usage object. Tokens from the prompt cache, and tokens written to it, are a part of the prompt."""
    if not isinstance(reported, dict):
        return NO_USAGE
    details = reported.get("output_tokens_details")
    return Usage(
        prompt_tokens=sum(count_of(reported.get(name)) for name in _INPUTS),
        output_tokens=count_of(reported.get("output_tokens")),
        cached_tokens=count_of(reported.get("cache_read_input_tokens")),
        written_tokens=count_of(reported.get("cache_creation_input_tokens")),
        reasoning_tokens=count_of(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
    )


def recounted_message(reported: Any, usage: Usage) -> dict[str, Any]:
    """Return a usage object with the counts of every pass; its other details stay."""
    given = reported if isinstance(reported, dict) else {}
    return {
        **given,
        "input_tokens": max(0, usage.prompt_tokens - usage.cached_tokens - usage.written_tokens),
        "cache_creation_input_tokens": usage.written_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


def merged_counts(start: Any, later: Any) -> dict[str, Any]:
    """Return the counts of a stream: those of its beginning, replaced by later ones as far as these are given."""
    return dict((*_given(start), *_given(later)))


def _given(counts: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(counts, Mapping):
        yield from ((name, value) for name, value in counts.items() if value is not None)
