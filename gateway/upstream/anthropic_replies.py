"""Anthropic's replies as chat completions: whole, as chunks of a stream, and refusals. Pure.

Thinking becomes ``reasoning_content``, as DeepSeek named it, and with its signature ``thinking_blocks``, as LiteLLM
named them: a client that sends these back lets the model think on between calls of tools.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from gateway.formats import sse
from gateway.formats.sent_message import (
    SentBlock,
    SentEvent,
    SentMessage,
    arguments,
    counted_message,
    finish_reason,
    merged_counts,
    read_event,
    read_message,
    words,
)
from gateway.formats.upstream_error import CONTEXT_EXCEEDED, error_words
from gateway.upstream.anthropic_requests import LIMITS
from gateway.upstream.json_text import JsonText

_encode = msgspec.json.encode

_PLACE = re.compile(r"([a-z_]+)((?:\.\w+)*): ")
"""The field that a refusal begins with, such as ``output_config.format.schema: ...``."""
_OF_CHAT: Mapping[str, tuple[str, ...]] = {
    "max_tokens": LIMITS,
    "metadata": ("safety_identifier", "user"),
    "output_config": ("response_format",),
    "output_config.effort": ("reasoning_effort",),
    "stop_sequences": ("stop",),
    "system": ("messages",),
    "thinking": ("reasoning_effort",),
}
"""Fields of a chat by those of a message, as far as the names differ."""
_MENTIONS = (
    ("thinking", "reasoning_effort"),
    ("output format", "response_format"),
    ("output_config", "response_format"),
)
"""Fields of a chat by words of a refusal that names no place."""


class ChatTranslation:
    """The chat completion of one request. ``created`` is in seconds since the epoch.

    ``json_object``: the text is cut to its JSON object.
    """

    def __init__(self, *, created: int, include_usage: bool, json_object: bool = False) -> None:
        self._created = created
        self._json = JsonText() if json_object else None
        self._include_usage = include_usage
        self._start = SentMessage()
        self._counts: dict[str, Any] = {}
        self._blocks: dict[Any, _GrowingBlock] = {}
        self._calls = self._thoughts = 0

    def whole(self, body: bytes) -> bytes:
        """Translate a whole reply; anything but a message stays as it came. Raises ``UpstreamGarbage``."""
        message = read_message(body)
        if message.content is None:
            return body
        reasoning = "".join(words(block.thinking) for block in message.content if block.type == "thinking")
        thoughts = [block for block in map(_thought, message.content) if block]
        calls = [
            _called(words(block.id), words(block.name), arguments(block.input))
            for block in message.content
            if block.type == "tool_use"
        ]
        text = self._cut(message.text()) + self._rest()
        reply: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
        optional = {"reasoning_content": reasoning, "thinking_blocks": thoughts, "tool_calls": calls}
        reply |= {name: value for name, value in optional.items() if value}
        choice = {
            "index": 0, "message": reply, "logprobs": None, "finish_reason": finish_reason(message.stop_reason),
        }  # fmt: skip
        return self._encoded("chat.completion", message, [choice], usage=chat_usage(message.usage))

    def events(self, data: bytes) -> bytes:
        """Translate an event of a stream into events of a chat, joined; empty if it has nothing for a client.

        Raises ``UpstreamGarbage``.
        """
        return b"".join(self._translated(read_event(data)))

    def _translated(self, event: SentEvent) -> Iterator[bytes]:
        match event.type:
            case "message_start" if event.message is not None:
                self._start = event.message
                self._counts = merged_counts({}, event.message.usage)
                yield self._chunk({"role": "assistant", "content": ""})
            case "content_block_start" if event.content_block is not None:
                yield from self._begun(event.index, event.content_block)
            case "content_block_delta":
                yield from self._grown(event)
            case "content_block_stop":
                yield from self._ended(self._blocks.pop(event.index, None))
            case "message_delta":
                self._counts = merged_counts(self._counts, event.usage)
                reason = finish_reason(event.delta.stop_reason if event.delta is not None else None)
                if reason is not None:
                    rest = self._rest()
                    if rest:
                        yield self._chunk({"content": rest})
                    yield self._chunk({}, reason)
            case "message_stop":
                if self._include_usage:
                    body = self._encoded("chat.completion.chunk", self._start, [], usage=chat_usage(self._counts))
                    yield sse.event_of(body)
                yield sse.DONE
            case "error":
                yield sse.event_of(_encode({"error": event.error or {"message": "unknown"}}))

    def _cut(self, text: str) -> str:
        return text if self._json is None else self._json.feed(text)

    def _rest(self) -> str:
        return "" if self._json is None else self._json.end()

    def _text(self, text: str) -> Iterator[bytes]:
        text = self._cut(text)
        if text:
            yield self._chunk({"content": text})

    def _begun(self, index: Any, block: SentBlock) -> Iterator[bytes]:
        self._blocks[index] = growing = _GrowingBlock(block)
        if block.type == "tool_use":
            growing.number = self._calls
            self._calls += 1
            call = {"index": growing.number, **_called(words(block.id), words(block.name), "")}
            yield self._chunk({"tool_calls": [call]})
        elif block.type == "text":
            yield from self._text(words(block.text))

    def _grown(self, event: SentEvent) -> Iterator[bytes]:
        delta, block = event.delta, self._blocks.get(event.index)
        if delta is None or block is None:
            return
        match delta.type:
            case "text_delta":
                yield from self._text(words(delta.text))
            case "thinking_delta" if words(delta.thinking):
                block.pieces.append(delta.thinking)
                yield self._chunk({"reasoning_content": delta.thinking})
            case "signature_delta":
                block.signature = words(delta.signature)
            case "input_json_delta" if words(delta.partial_json) and block.kind == "tool_use":
                block.pieces.append(delta.partial_json)
                yield self._call_piece(block, delta.partial_json)

    def _ended(self, block: "_GrowingBlock | None") -> Iterator[bytes]:
        if block is None:
            return
        if block.kind == "tool_use" and not block.pieces:
            yield self._call_piece(block, arguments(block.begun.input))
        thought = _thought(block.whole())
        if thought:
            yield self._chunk({"thinking_blocks": [{"index": self._thoughts, **thought}]})
            self._thoughts += 1

    def _call_piece(self, block: "_GrowingBlock", piece: str) -> bytes:
        return self._chunk({"tool_calls": [{"index": block.number, "function": {"arguments": piece}}]})

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return sse.event_of(self._encoded("chat.completion.chunk", self._start, [choice]))

    def _encoded(self, kind: str, message: SentMessage, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return _encode({
            "id": message.id or "", "object": kind, "created": self._created, "model": words(message.model),
            "choices": choices, **more,
        })  # fmt: skip


class _GrowingBlock:
    """A block of a stream so far."""

    def __init__(self, begun: SentBlock) -> None:
        self.begun = begun
        self.kind = begun.type
        self.number = 0
        """Position among the calls."""
        self.pieces: list[str] = [words(begun.thinking)] if begun.thinking else []
        self.signature = words(begun.signature)

    def whole(self) -> SentBlock:
        return SentBlock(type=self.kind, thinking="".join(self.pieces), signature=self.signature, data=self.begun.data)


def _thought(block: SentBlock) -> dict[str, str]:
    """Return a block of thinking that a client may send back; empty for another block, or one without a signature."""
    if block.type == "thinking" and words(block.signature):
        return {"type": "thinking", "thinking": words(block.thinking), "signature": block.signature}
    if block.type == "redacted_thinking":
        return {"type": "redacted_thinking", "data": words(block.data)}
    return {}


def _called(id_: str, name: str, given: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": given}}


def chat_usage(reported: Any) -> dict[str, Any]:
    """Return the counts of a chat completion."""
    usage = counted_message(reported)
    counts: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.written_tokens},
    }
    if usage.reasoning_tokens:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def chat_refusal(payload: bytes, sent: Mapping[str, Raw]) -> bytes:
    """Return a refusal in OpenAI's shape: Anthropic's words, and the field of the chat that it blames.

    ``sent`` are the fields of the chat. A body without words stays as it came.
    """
    error = error_words(payload)
    if error is None:
        return payload
    blamed = next((name for name in _blamed(error.message) if name in sent), None)
    shape = {
        "message": error.message,
        "type": error.type,
        "param": blamed,
        "code": CONTEXT_EXCEEDED if error.overflows else error.code,
    }
    return _encode({"error": shape})


def _blamed(message: str) -> Iterator[str]:
    place = _PLACE.match(message)
    if place is not None:
        root = place[1]
        inner = ".".join((root, *place[2].split(".")[1:2]))
        yield from _OF_CHAT.get(inner, _OF_CHAT.get(root, (root,)))
    yield from (name for mark, name in _MENTIONS if mark in message)
