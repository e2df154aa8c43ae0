"""Replies of ``/chat/completions`` and ``/completions``: whole or as chunks of a stream.

A reply changes in two places at most: the upstream's id becomes the exchange's, and the usage may be dropped or counted
anew. Grading is the optimizer's.
"""

from typing import Any

import msgspec
from msgspec import Raw

from gateway.domain import ToolCall, Usage, Value
from gateway.errors import UpstreamGarbage
from gateway.formats import sse
from gateway.formats.envelope import decode_object, raw
from gateway.formats.lenient import relaxed
from gateway.formats.reply import UNREADABLE, broken, decoded, from_upstream, garbage, id_replaced
from gateway.formats.tags import TagFilter
from gateway.formats.tool_calls import CallPieces, whole_calls
from gateway.formats.transcript import Transcript
from gateway.formats.usage import counted, recounted


class _Content(msgspec.Struct):
    content: Any = None
    tool_calls: Any = None


class _CompletionChoice(msgspec.Struct):
    """A choice, whole (``message``) or in a stream (``delta``); legacy completions have a ``text``."""

    index: int = 0
    message: _Content | None = None
    delta: _Content | None = None
    text: str | None = None
    finish_reason: str | None = None

    def content(self) -> str | None:
        """Return the text of the choice, or of its piece in a stream."""
        message = self.message or self.delta
        content = message.content if message else self.text
        return content if isinstance(content, str) else None

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the function calls of a whole reply; calls of custom tools are left out."""
        if self.message is None or not self.message.tool_calls:
            return ()
        return whole_calls(self.message.tool_calls)


class _Completion(msgspec.Struct):
    choices: list[_CompletionChoice]
    id: str | None = None
    usage: Any = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    choices: list[_CompletionChoice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    """``error`` in vLLM's bare error."""


_completion = msgspec.json.Decoder(_Completion)
_chunk = msgspec.json.Decoder(_Chunk)


class WholeCompletion(Value, frozen=True):
    """A whole reply as it came, with the fields that the gateway reads. Implements ``reply.WholeReply``."""

    body: bytes
    own_id: str | None
    """The upstream's id; the exchange's replaces it."""
    text: str | None
    finish_reason: str | None
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    id: str | None = None
    """The upstream's id, if the reply keeps it: the upstream stores the reply under it."""

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        exchange_id = self.id or exchange_id
        if text is None and usage is None:
            replaced = id_replaced(self.body, self.own_id, exchange_id)
            if replaced is not None:
                return replaced
        with from_upstream("a chat completion"):
            fields: dict[str, Raw] = {"id": raw(exchange_id), **decode_object(self.body)}
            fields["id"] = raw(exchange_id)
            if text is not None:
                choices = _choices(fields["choices"])
                for choice in choices:
                    if choice["index"] == 0:
                        choice["message"]["content"] = text
                fields["choices"] = raw(choices)
            if usage is not None:
                fields["usage"] = raw(recounted(fields.get("usage"), usage))
        return msgspec.json.encode(fields)


def open_completion(body: bytes, *, stored: bool = False) -> WholeCompletion:
    """Decode a completion; raises ``UpstreamGarbage`` if it is none. A ``stored`` one keeps its id."""
    try:
        completion = decoded(_completion, body)
    except UNREADABLE:
        raise garbage("a chat completion") from None
    first = _first(completion.choices)
    if first is not None and first.message is None and first.text is None:
        raise UpstreamGarbage("the upstream sent a completion whose choice says nothing")
    return WholeCompletion(
        body=body,
        own_id=completion.id,
        text=first.content() if first else None,
        finish_reason=(first.finish_reason or None) if first else None,
        usage=counted(completion.usage),
        tool_calls=first.calls() if first else (),
        id=completion.id if stored else None,
    )


class ChatReader:
    """Reads one pass of a stream. Implements ``reply.Reader``."""

    def __init__(
        self,
        transcript: Transcript,
        exchange_id: str,
        *,
        hand_on_usage: bool,
        tags: TagFilter | None,
        stored: bool = False,
    ) -> None:
        """``stored``: the upstream stores the reply under its id, and the reply keeps it."""
        self.finished = False
        self._transcript = transcript
        self._before = transcript.usage
        self._exchange_id = exchange_id
        self._hand_on_usage = hand_on_usage
        self._tags = tags
        self._calls = CallPieces()
        self._stored = stored

    def read(self, data: bytes, event: bytes) -> bytes | None:
        if data == sse.DONE_DATA:
            self.finished = True
            return None
        if data == b"null":
            return None
        try:  # not with from_upstream: this is done for every token
            chunk = decoded(_chunk, data)
        except UNREADABLE:
            raise garbage("a chunk of a chat completion") from None
        if chunk.error is not None:
            raise broken(chunk.error)
        if chunk.choices is None and chunk.object == "error":
            raise broken(msgspec.json.decode(data))
        if chunk.usage is not None:
            self._transcript.usage = self._before + counted(chunk.usage)
        if chunk.usage is not None and not chunk.choices:
            out = event if self._wants_usage() else None
        else:
            out = self._choices_event(data, event, _first(chunk.choices or ()))
        if out is None:
            return None
        if chunk.usage is not None and self._before != Usage():
            out = with_usage(sse.data_of(out) or b"", self._transcript.usage)
        if self._stored and chunk.id:
            self._transcript.reply_id = chunk.id
            return out
        return sse.with_id(out, chunk.id, self._exchange_id)

    def _wants_usage(self) -> bool:
        unfinished = self._tags is not None and not self._tags.replied
        return self._hand_on_usage and not unfinished

    def _choices_event(self, data: bytes, event: bytes, first: _CompletionChoice | None) -> bytes | None:
        if first is None:
            return event
        text = first.content() or ""
        if first.delta is not None and first.delta.tool_calls:
            self._calls.add(first.delta.tool_calls)
        if first.finish_reason:  # an empty one is no end
            self.finished = True
            self._transcript.tool_calls = self._calls.whole()
            self._transcript.finish_reason = first.finish_reason
        if self._tags is None:
            self._transcript.add_text(text)
            return event
        piece = self._tags.feed(text)
        if first.finish_reason == "stop":
            piece = piece or self._tags.end()
        self._transcript.add_text(piece)
        if first.finish_reason:
            # A working without a reply is followed by a second pass, whose own end is the reply's.
            return with_text(data, piece) if self._tags.replied else None
        return (with_text(data, piece) if piece else None) if text else event


def _first(choices: "list[_CompletionChoice] | tuple[()]") -> _CompletionChoice | None:
    for choice in choices:
        if choice.index == 0:
            return choice
    return None


def _choices(choices: Raw) -> list[dict[str, Any]]:
    """Decode choices as leniently as they were read, each with its index."""
    decoded_choices: list[dict[str, Any]] = relaxed({"choices": msgspec.json.decode(choices)})["choices"]
    return decoded_choices


def with_text(data: bytes, text: str) -> bytes:
    """Replace the text of an event's first choice; everything else stays."""
    with from_upstream("a chunk of a chat completion"):
        choices = _choices(decode_object(data)["choices"])
    for choice in choices:
        if choice["index"] == 0 and isinstance(choice.get("delta"), dict):
            choice["delta"] = {**choice["delta"], "content": text}
    return sse.with_field(data, "choices", choices)


def with_usage(data: bytes, usage: Usage) -> bytes:
    """Replace the usage of an event with the count of every pass."""
    with from_upstream("a chunk of a chat completion"):
        counts = recounted(decode_object(data).get("usage"), usage)
    return sse.with_field(data, "usage", counts)
