"""A streamed chat completion as Anthropic streams a message: numbered content blocks, one after the other.

A chat stream may return to a tool call after another call began; a message's blocks never overlap. So a single block is
live and its pieces are sent as they come; pieces of later blocks wait for its end. A block of text ends with the first
piece of another kind, a tool call with a whole JSON object as its arguments. Upstreams stream their calls in turn, so
nothing waits in practice.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw

from gateway.errors import PreceptorError
from gateway.formats import messages_reply, sse
from gateway.formats.messages_reply import ChatCompletion, Ending, MessageOptions, ToolCallPiece
from gateway.formats.reply import decoded, from_upstream

_chunk = msgspec.json.Decoder(ChatCompletion)
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}

Kind = Literal["text", "thinking", "tool_use"]


class MessageStream:
    """Translates the events of one stream, in order. ``feed`` it every event, ``[DONE]`` too."""

    def __init__(self, *, message_id: str, options: MessageOptions, input_tokens: int = 0) -> None:
        """``input_tokens`` is an estimate for the first event; the upstream's own count comes with the last."""
        self._id = message_id
        self._input_tokens = input_tokens
        self._options = options
        self._ending = Ending(options)
        self._counted = ChatCompletion()
        self._calls = _Calls(message_id, options.names)
        self._blocks: list[_Block] = []
        self._live = 0
        """Position of the block that is being sent; those before it have ended."""
        self._begun = False

    def feed(self, event: bytes) -> bytes:
        """Translate a chat event into events of a message, joined; empty if the caller gets none.

        Raises ``UpstreamGarbage`` if it is no chunk of a chat completion.
        """
        data = sse.data_of(event)
        return b"" if data is None else b"".join(self._events(data))

    def _events(self, data: bytes) -> Iterator[bytes]:
        done = data == b"[DONE]"
        if not done:
            self._read(data)
        if not self._begun:
            self._begun = True
            message = messages_reply.empty_message(self._id, self._options)
            message["usage"]["input_tokens"] = self._input_tokens
            yield _event("message_start", message=message)
        yield from self._progress(done)
        if done:
            usage = messages_reply.usage_of(self._counted)
            yield _event("message_delta", delta=self._ending.fields(), usage=usage)
            yield _event("message_stop")

    def _read(self, data: bytes) -> None:
        """Put the pieces of a chunk into their blocks."""
        with from_upstream("a chunk of a chat completion"):
            chunk = decoded(_chunk, data)
        if chunk.usage is not None:
            self._counted = chunk
        choice = chunk.first()
        if choice is None:
            return
        reply = choice.delta or messages_reply.ReplyMessage()
        self._ending.read(choice, reply)
        if self._options.thinking:
            self._say("thinking", reply.thinking())
        self._say("text", reply.text())
        for piece in reply.tool_calls or ():
            call = self._calls.find(piece)
            if call is None:
                call = self._calls.begin(piece)
                self._blocks.append(call)
            call.take(piece)

    def _say(self, kind: Kind, piece: str) -> None:
        if not piece:
            return
        if not self._blocks or self._blocks[-1].kind != kind:
            self._blocks.append(_Block(kind))
        self._blocks[-1].add(piece)

    def _progress(self, done: bool) -> Iterator[bytes]:
        """Send the pieces of the live block and end it if it is complete; send all blocks at the end of the stream."""
        while self._live < len(self._blocks):
            block = self._blocks[self._live]
            yield from block.unsent(self._live, done)
            if not done and (block is self._blocks[-1] or not block.complete()):
                return
            yield _event("content_block_stop", index=self._live)
            self._live += 1


class _Block:
    """A block of text or reasoning, with its unsent pieces."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._started = False
        self._unsent: list[str] = []

    def add(self, piece: str) -> None:
        if piece:
            self._unsent.append(piece)

    def unsent(self, index: int, done: bool) -> Iterator[bytes]:
        """Return the events for the unsent pieces; with ``done`` no further piece will come."""
        if not (self._started or done or self.ready()):
            return
        if not self._started:
            self._started = True
            yield _event("content_block_start", index=index, content_block=self.start())
        if self._unsent:
            type_, field = _DELTAS[self.kind]
            yield _event("content_block_delta", index=index, delta={"type": type_, field: "".join(self._unsent)})
            self._unsent.clear()

    def ready(self) -> bool:
        """Decide whether enough is known to start the block."""
        return True

    def complete(self) -> bool:
        """Decide whether the block ends with the beginning of another block."""
        return True

    def start(self) -> dict[str, Any]:
        return messages_reply.thinking_block("") if self.kind == "thinking" else messages_reply.text_block("")


class _Call(_Block):
    """A tool call. Its arguments are kept, because their JSON tells its end."""

    def __init__(self, id_: str, fallback_id: str, names: Mapping[str, str]) -> None:
        super().__init__("tool_use")
        self._names = names
        self.id = id_
        self._fallback_id = fallback_id
        self._name = ""
        self._arguments: list[str] = []
        self._judged = 0
        self._whole = False

    def take(self, piece: ToolCallPiece) -> None:
        self._name = self._name or piece.name()
        self.add(piece.arguments())

    def add(self, piece: str) -> None:
        super().add(piece)
        self._arguments.append(piece)

    def ready(self) -> bool:
        return bool(self._name)

    def complete(self) -> bool:
        if self._judged != len(self._arguments):
            self._judged = len(self._arguments)
            self._whole = messages_reply.is_object("".join(self._arguments))
        return self._whole and self.ready()

    def start(self) -> dict[str, Any]:
        return messages_reply.tool_use_block(
            self.id or self._fallback_id, self._names.get(self._name, self._name), Raw(b"{}")
        )


class _Calls:
    """The calls of a stream. Upstreams mark the pieces of a call by id, by index, by both or by neither."""

    def __init__(self, message_id: str, names: Mapping[str, str]) -> None:
        self._message_id = message_id
        self._names = names
        self._count = 0
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._current: _Call | None = None

    def find(self, piece: ToolCallPiece) -> _Call | None:
        """Return the call of a piece: a known id wins, then the index; without both it is the current call."""
        call = self._by_id.get(piece.id) if piece.id else None
        if call is None and piece.index is not None:
            call = self._by_index.get(piece.index)
            if call is not None and piece.id and call.id:
                return None  # a new id under an old index: some upstreams number every call 0
        elif call is None and not piece.id:
            call = self._current
        return None if call is None else self._marked(call, piece)

    def begin(self, piece: ToolCallPiece) -> _Call:
        call = _Call(piece.id or "", messages_reply.call_id(self._message_id, self._count), self._names)
        self._count += 1
        return self._marked(call, piece)

    def _marked(self, call: _Call, piece: ToolCallPiece) -> _Call:
        self._current = call
        if piece.id:
            call.id = call.id or piece.id
            self._by_id[piece.id] = call
        if piece.index is not None:
            self._by_index[piece.index] = call
        return call


def error_event(error: PreceptorError, request_id: str | None = None) -> bytes:
    """Return the event of an error in the middle of a stream, its last event."""
    return b"event: error\ndata: " + messages_reply.error_body(error, request_id) + b"\n\n"


def _event(name: str, **fields: Any) -> bytes:
    data = msgspec.json.encode({"type": name, **fields})
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
