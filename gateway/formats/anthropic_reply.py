"""Replies of ``/messages`` for a client that speaks the same: whole, or as events. They keep their id and their bytes.

Only a form changes them: working between tags is cut out, and after a first pass the usage is counted anew.
"""

from typing import Any

import msgspec
from msgspec import Raw

from gateway.domain import NO_USAGE, ToolCall, Usage, Value
from gateway.errors import UpstreamBroken
from gateway.formats.envelope import decode_object, raw
from gateway.formats.reply import broken, from_upstream, garbage
from gateway.formats.sent_message import (
    SentEvent,
    arguments,
    counted_message,
    finish_reason,
    merged_counts,
    read_event,
    read_message,
    recounted_message,
    words,
)
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript


class AnthropicReply(Value, frozen=True):
    """A whole message. Implements ``reply.WholeReply``."""

    body: bytes
    id: str | None
    text: str | None
    finish_reason: str | None
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        if text is None and (usage is None or usage == self.usage):
            return self.body
        with from_upstream("a message"):
            fields = decode_object(self.body)
            if text is not None:
                fields["content"] = raw(_with_text(msgspec.json.decode(fields["content"], type=list[Raw]), text))
            if usage is not None:
                reported = msgspec.json.decode(fields["usage"]) if "usage" in fields else None
                fields["usage"] = raw(recounted_message(reported, usage))
        return msgspec.json.encode(fields)


def _with_text(blocks: list[Raw], text: str) -> list[Raw]:
    """Put a text in the place of the first block of text; further ones go, other blocks stay as they came."""
    kept: list[Raw] = []
    written = False
    for block in blocks:
        if msgspec.json.decode(block).get("type") != "text":
            kept.append(block)
        elif not written:
            written = True
            kept.append(raw({"type": "text", "text": text}))
    return kept


def open_anthropic_reply(body: bytes) -> AnthropicReply:
    """Decode a message; raises ``UpstreamGarbage`` if it is none."""
    message = read_message(body)
    if message.content is None:
        raise garbage("a message")
    return AnthropicReply(
        body=body,
        id=message.id,
        text=message.text(),
        finish_reason=finish_reason(message.stop_reason),
        usage=counted_message(message.usage),
        tool_calls=message.calls(),
    )


class AnthropicReader:
    """Reads one pass of a stream. Implements ``reply.Reader``.

    While a working is cut out, events are held back until the reply begins: a second pass would begin a second message.
    """

    def __init__(self, transcript: Transcript, tags: TagFilter | None) -> None:
        self.finished = False
        self._transcript = transcript
        self._before = transcript.usage
        self._tags = tags
        self._held: list[bytes] = []
        self._ended_text = 0
        """Position among the held events where the last block of text ends."""
        self._text_index: Any = 0
        self._counts: dict[str, Any] = {}
        self._calls: dict[Any, tuple[str, list[str]]] = {}

    def read(self, data: bytes, event: bytes) -> bytes | None:
        opened = read_event(data)
        if opened.type == "content_block_delta":
            return self._shown(self._delta(opened, event))
        match opened.type:
            case "error":
                kind = opened.error.get("type") if isinstance(opened.error, dict) else None
                raise UpstreamBroken(broken(opened.error).message, code=kind if isinstance(kind, str) else None)
            case "message_start" if opened.message is not None:
                self._transcript.reply_id = opened.message.id
                self._count(opened.message.usage)
            case "content_block_start" if opened.content_block is not None:
                block = opened.content_block
                if block.type == "tool_use":
                    self._calls[opened.index] = words(block.name), []
                elif block.type == "text":
                    self._text_index = opened.index
                    if self._tags is None:
                        self._transcript.add_text(words(block.text))
            case "content_block_stop" if opened.index == self._text_index:
                self._ended_text = len(self._held)
            case "message_delta":
                event = self._end(opened, data, event)
            case "message_stop":
                self.finished = True
                self._transcript.tool_calls = tuple(
                    ToolCall(name=name, arguments="".join(pieces) or arguments(Raw()))
                    for name, pieces in self._calls.values()
                )
        return self._shown(event)

    def _delta(self, opened: SentEvent, event: bytes) -> bytes:
        delta = opened.delta
        if delta is None:
            return event
        if delta.type == "input_json_delta" and opened.index in self._calls:
            self._calls[opened.index][1].append(words(delta.partial_json))
        if delta.type != "text_delta":
            return event
        if self._tags is None:
            self._transcript.add_text(words(delta.text))
            return event
        piece = self._tags.feed(words(delta.text))
        self._transcript.add_text(piece)
        return _text_delta(opened.index, piece) if piece else b""

    def _count(self, reported: Any) -> None:
        self._counts = merged_counts(self._counts, reported)
        self._transcript.usage = self._before + counted_message(self._counts)

    def _end(self, opened: SentEvent, data: bytes, event: bytes) -> bytes:
        """Read the end of a message, and count its usage anew after a first pass."""
        self._count(opened.usage)
        reason = finish_reason(opened.delta.stop_reason if opened.delta is not None else None)
        self._transcript.finish_reason = reason
        if self._tags is not None and not self._tags.replied and reason == "stop":
            piece = self._tags.end()
            if piece:
                self._transcript.add_text(piece)
                self._held.insert(self._ended_text, _text_delta(self._text_index, piece))
        if self._before == NO_USAGE:
            return event
        with from_upstream("an event of a message"):
            fields = decode_object(data)
            fields["usage"] = raw(recounted_message(self._counts, self._transcript.usage))
        return _event("message_delta", msgspec.json.encode(fields))

    def _shown(self, event: bytes) -> bytes | None:
        """Return an event for the client, behind those held back; ``None`` while nothing may be shown."""
        if self._tags is not None and not self._tags.replied:
            self._held.append(event)
            return None
        if self._held:
            event = b"".join((*self._held, event))
            self._held = []
        return event or None


def _text_delta(index: Any, text: str) -> bytes:
    delta = {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
    return _event("content_block_delta", msgspec.json.encode(delta))


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
