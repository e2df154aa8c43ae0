"""Server-sent events as OpenAI streams them: cut into events, looked into, and marked with the exchange's id.

Events are relayed as the bytes that arrived. Only two things are ever changed in one: the upstream's id becomes the
exchange's, and the usage chunk may be dropped or its numbers replaced.
"""

from typing import Any

import msgspec

from gateway.domain import Usage
from gateway.errors import UpstreamGarbage
from gateway.pipeline.envelope import decode_object, raw
from gateway.pipeline.outcome import from_upstream
from gateway.pipeline.usage import UsageFields, recounted

DONE = b"data: [DONE]\n\n"
MAX_EVENT = 16 * 10**6
"""Bytes that one event may have."""


class Events:
    """Cuts a byte stream into events, however it was split on the way; each keeps its own bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with its closing blank line."""
        data = self._rest + chunk
        if b"\r" in data:
            # A lone CR at the end may be half of a CRLF: keep it for the next chunk.
            held = b"\r" if data.endswith(b"\r") else b""
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *events, self._rest = data.split(b"\n\n")
        if len(self._rest) > MAX_EVENT:
            raise UpstreamGarbage("the upstream sent an event without an end")
        return [event + b"\n\n" for event in events if event.strip()]

    def end(self) -> bytes:
        """What is left when the stream has ended: an event without its blank line, or nothing."""
        rest, self._rest = self._rest, b""
        return rest.removesuffix(b"\r")


def data_of(event: bytes) -> bytes | None:
    """The data of an event, its lines joined; ``None`` for a comment or an event whose data is empty."""
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) or None


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """What the gateway reads of a chunk of a streamed reply."""

    id: str | None = None
    choices: list[_Choice] | None = None
    usage: UsageFields | None = None
    error: Any = None

    def text(self) -> str:
        """The piece of the first choice's text."""
        return "".join(
            choice.delta.content
            for choice in self.choices or ()
            if choice.index == 0 and choice.delta and choice.delta.content
        )

    def finish_reason(self) -> str | None:
        return next((c.finish_reason for c in self.choices or () if c.index == 0 and c.finish_reason), None)

    def counted(self) -> Usage | None:
        """The usage that the chunk reports."""
        return self.usage.counted() if self.usage else None


_chunk = msgspec.json.Decoder(Chunk)


def open_chunk(data: bytes) -> Chunk:
    """Decode an event's data; raises ``UpstreamGarbage`` if it is not a chunk."""
    with from_upstream("a chunk of a chat completion"):
        return _chunk.decode(data)


def with_id(event: bytes, upstream_id: str | None, exchange_id: str) -> bytes:
    """The event under the exchange's id; every other byte stays, wherever the upstream's id is written plainly.

    A key in quotes cannot stand inside a JSON string, so its first hit is the field.
    """
    if upstream_id is not None:
        for key in (b'"id":', b'"id": '):
            before, found, after = event.partition(key + msgspec.json.encode(upstream_id))
            if found:
                return before + key + msgspec.json.encode(exchange_id) + after
    return _with_field(data_of(event) or b"{}", "id", exchange_id)


def with_text(data: bytes, text: str) -> bytes:
    """An event whose first choice's text is replaced by ``text``, everything else as it came."""
    with from_upstream("a chunk of a chat completion"):
        choices = msgspec.json.decode(decode_object(data)["choices"])
    for choice in choices:
        if choice.get("index", 0) == 0 and isinstance(choice.get("delta"), dict):
            choice["delta"] = {**choice["delta"], "content": text}
    return _with_field(data, "choices", choices)


def with_usage(data: bytes, usage: Usage) -> bytes:
    """An event whose usage counts every pass of the exchange."""
    with from_upstream("a chunk of a chat completion"):
        counts = recounted(decode_object(data).get("usage"), usage)
    return _with_field(data, "usage", counts)


def _with_field(data: bytes, name: str, value: Any) -> bytes:
    with from_upstream("a chunk of a chat completion"):
        return event_of(msgspec.json.encode({**decode_object(data), name: raw(value)}))


def event_of(data: bytes) -> bytes:
    """Data as an event."""
    return b"data: " + data + b"\n\n"
