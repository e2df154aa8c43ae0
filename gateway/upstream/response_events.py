"""A streamed chat as the events of a response, in the order of OpenAI's own server, numbered from 0. Pure.

Items begin when their first piece comes. Reasoning and text end when another kind begins; calls end with the response,
because a chat may return to an earlier call.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.domain import NO_USAGE
from gateway.formats import sse
from gateway.formats.reply import decoded, from_upstream
from gateway.formats.usage import counted
from gateway.upstream.response_replies import (
    CallDelta,
    ChatReply,
    ResponseMarks,
    call_item,
    ending,
    item_state,
    message_item,
    plain_input,
    reasoning_item,
    refusal_part,
    response_object,
    text_part,
)
from gateway.upstream.response_requests import Translated

_chunk = msgspec.json.Decoder(ChatReply)


class ResponseStream:
    """Translates the data of one stream's events, in order. ``events`` takes ``[DONE]``, too."""

    def __init__(self, request: Translated, marks: ResponseMarks) -> None:
        self._request = request
        self._marks = marks
        self._number = 0
        self._begun = False
        self._items: list[_GrowingItem] = []
        self._calls: dict[int | str, _CallItem] = {}
        self._finish: str | None = None
        self._usage = NO_USAGE
        self._model: str | None = None

    def events(self, data: bytes) -> bytes:
        """Translate the data of an event. Raises ``UpstreamGarbage`` if it is no chunk of a chat completion."""
        return b"".join(map(self._numbered, self._translated(data)))

    def _numbered(self, event: dict[str, Any]) -> bytes:
        event["sequence_number"] = self._number
        self._number += 1
        kind: str = event["type"]
        return b"event: " + kind.encode() + b"\n" + sse.event_of(msgspec.json.encode(event))

    def _translated(self, data: bytes) -> Iterator[dict[str, Any]]:
        if data == sse.DONE_DATA:
            yield from self._end()
            return
        if data == b"null":
            return
        with from_upstream("a chunk of a chat completion"):
            chunk = decoded(_chunk, data)
        if chunk.error is not None or (chunk.choices is None and chunk.object == "error"):
            words = chunk.error if chunk.error is not None else msgspec.json.decode(data)
            message = words.get("message") if isinstance(words, dict) else words
            code = words.get("code") if isinstance(words, dict) else None
            named = code if isinstance(code, str) else "server_error"
            yield {"type": "error", "code": named, "message": str(message), "param": None}
            return
        self._model = self._model or chunk.model
        if chunk.usage is not None:
            self._usage = counted(chunk.usage)
        if not self._begun:
            self._begun = True
            yield {"type": "response.created", "response": self._response()}
            yield {"type": "response.in_progress", "response": self._response()}
        choice = chunk.first()
        if choice is None:
            return
        self._finish = choice.finish_reason or self._finish
        words = choice.delta or choice.message
        if words is None:
            return
        if words.thoughts():
            yield from self._say(_ReasoningItem, words.thoughts())
        if words.text():
            yield from self._say(_TextItem, words.text(), choice.chances())
        if words.refusal:
            yield from self._say(_RefusalItem, words.refusal)
        for piece in words.tool_calls or ():
            yield from self._called(piece)

    def _say(self, kind: "type[_Spoken]", text: str, chances: list[Any] | None = None) -> Iterator[dict[str, Any]]:
        last = self._items[-1] if self._items else None
        if not isinstance(last, kind) or last.closed:
            yield from self._close_spoken()
            number = sum(isinstance(item, kind) for item in self._items)
            last = kind(len(self._items), self._marks.id(kind.prefix, number or None))
            self._items.append(last)
            yield from last.opening()
        yield last.delta(text, chances or [])

    def _close_spoken(self) -> Iterator[dict[str, Any]]:
        """End the reasoning or the text that is open."""
        last = self._items[-1] if self._items else None
        if isinstance(last, _Spoken) and not last.closed:
            yield from last.closing("completed")

    def _called(self, piece: CallDelta) -> Iterator[dict[str, Any]]:
        call = self._known(piece)
        if call is None:
            yield from self._close_spoken()
            number = sum(isinstance(item, _CallItem) for item in self._items)
            call = _CallItem(len(self._items), self._marks, number, self._request)
            self._items.append(call)
        if piece.id:
            self._calls[piece.id] = call
        if piece.index is not None:
            self._calls[piece.index] = call
        yield from call.take(piece)

    def _known(self, piece: CallDelta) -> "_CallItem | None":
        """Return the call of a piece: by its id, else by its index, else the newest. A new id begins a new call."""
        if piece.id:
            known = self._calls.get(piece.id)
            at = None if piece.index is None else self._calls.get(piece.index)
            return known or (at if at is not None and not at.call_id else None)
        if piece.index is not None:
            return self._calls.get(piece.index)
        calls = [item for item in self._items if isinstance(item, _CallItem)]
        return calls[-1] if calls else None

    def _end(self) -> Iterator[dict[str, Any]]:
        """End every open item and the response; a stream without a reason to end breaks off instead."""
        if self._finish is None:
            return
        for item in self._items:
            if not item.closed:
                yield from item.closing(item_state(self._finish))
        yield {"type": f"response.{ending(self._finish)[0]}", "response": self._response(done=True)}

    def _response(self, *, done: bool = False) -> dict[str, Any]:
        output = [item.item for item in self._items]
        usage = self._usage if done else None
        return response_object(self._request, self._marks, output, finish=self._finish, usage=usage, model=self._model)


class _GrowingItem:
    """An item of the output, with the events about it."""

    def __init__(self, place: int) -> None:
        self.closed = False
        self.item: dict[str, Any] = {}
        self._place = place

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "output_index": self._place, **fields}

    def closing(self, state: str) -> Iterator[dict[str, Any]]:
        """Return the events that end the item."""
        raise NotImplementedError


class _Spoken(_GrowingItem):
    """An item with one part of text."""

    prefix: str
    """Beginning of its id."""
    kind: str
    """Name of its events."""

    def __init__(self, place: int, id_: str) -> None:
        super().__init__(place)
        self._id = id_
        self._pieces: list[str] = []
        self._chances: list[Any] = []
        self.item = self._made("", "in_progress")

    def _part(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def _made(self, text: str, state: str) -> dict[str, Any]:
        return message_item(self._id, [self._part(text)] if text else [], state)

    def _about_part(self) -> dict[str, Any]:
        return {"item_id": self._id, "content_index": 0}

    def _more(self, chances: list[Any]) -> dict[str, Any]:
        return {}

    def opening(self) -> Iterator[dict[str, Any]]:
        """Return the events that begin the item."""
        yield self._event("output_item.added", item=self.item)
        yield self._event("content_part.added", **self._about_part(), part=self._part(""))

    def delta(self, text: str, chances: list[Any]) -> dict[str, Any]:
        """Return the event of a piece."""
        self._pieces.append(text)
        self._chances += chances
        return self._event(f"{self.kind}.delta", **self._about_part(), delta=text, **self._more(chances))

    def closing(self, state: str) -> Iterator[dict[str, Any]]:
        text = "".join(self._pieces)
        self.item = self._made(text, state)
        named = "refusal" if self.kind == "refusal" else "text"
        self.closed = True
        yield self._event(f"{self.kind}.done", **self._about_part(), **{named: text}, **self._more(self._chances))
        yield self._event("content_part.done", **self._about_part(), part=self._part(text))
        yield self._event("output_item.done", item=self.item)


class _TextItem(_Spoken):
    prefix, kind = "msg", "output_text"

    def _part(self, text: str) -> dict[str, Any]:
        return text_part(text, self._chances if text else ())

    def _more(self, chances: list[Any]) -> dict[str, Any]:
        return {"logprobs": chances}


class _RefusalItem(_Spoken):
    prefix, kind = "msg_refusal", "refusal"

    def _part(self, text: str) -> dict[str, Any]:
        return refusal_part(text)


class _ReasoningItem(_Spoken):
    prefix, kind = "rs", "reasoning_text"

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": text}

    def _made(self, text: str, state: str) -> dict[str, Any]:
        return reasoning_item(self._id, text)


class _CallItem(_GrowingItem):
    """A call. It begins when its name is known; a custom tool's text comes whole."""

    def __init__(self, place: int, marks: ResponseMarks, number: int, request: Translated) -> None:
        super().__init__(place)
        self.call_id = ""
        self._marks = marks
        self._number = number
        self._request = request
        self._name = ""
        self._arguments: list[str] = []
        self._unsent: list[str] = []
        self._begun = False

    def take(self, piece: CallDelta) -> Iterator[dict[str, Any]]:
        """Take a piece and return its events."""
        self.call_id = self.call_id or piece.id or ""
        self._name = self._name or piece.part("name")
        if piece.part("arguments"):
            self._arguments.append(piece.part("arguments"))
            self._unsent.append(piece.part("arguments"))
        if self._name:
            yield from self._progress()

    def _progress(self) -> Iterator[dict[str, Any]]:
        if not self._begun:
            self._begun = True
            self.item = self._made("", "in_progress")
            yield self._event("output_item.added", item=self.item)
        if self._unsent and self._name not in self._request.custom:
            delta = "".join(self._unsent)
            self._unsent.clear()
            yield self._event("function_call_arguments.delta", item_id=self.item["id"], delta=delta)

    def _made(self, arguments: str, state: str) -> dict[str, Any]:
        return call_item(self._marks, self._number, self.call_id, self._name, arguments, self._request, state)

    def closing(self, state: str) -> Iterator[dict[str, Any]]:
        yield from self._progress()
        arguments = "".join(self._arguments)
        self.item = self._made(arguments, state)
        self.closed = True
        id_ = self.item["id"]
        if self._name in self._request.custom:
            text = plain_input(arguments)
            yield self._event("custom_tool_call_input.delta", item_id=id_, delta=text)
            yield self._event("custom_tool_call_input.done", item_id=id_, input=text)
        else:
            name = self._request.named(self._name)["name"]
            yield self._event("function_call_arguments.done", item_id=id_, name=name, arguments=arguments)
        yield self._event("output_item.done", item=self.item)
