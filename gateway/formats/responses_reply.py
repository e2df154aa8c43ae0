"""Replies of ``/responses``: whole, or as typed events of a stream. They keep the upstream's id and all of its bytes.

Two fields of a response may change: the usage after a first pass, and the instructions. An upstream repeats those that
it got, with rules and working; the caller reads its own.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from gateway.domain import ToolCall, Usage, Value
from gateway.formats import sse
from gateway.formats.envelope import decode_object, raw
from gateway.formats.reply import broken, decoded, from_upstream
from gateway.formats.transcript import Transcript
from gateway.formats.usage import counted, recounted

_PROMPT, _OUTPUT = "input_tokens", "output_tokens"
NO_CHANGES: Mapping[str, Any] = MappingProxyType({})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _OutputPart(msgspec.Struct):
    type: str = ""
    text: Any = None


class _Item(msgspec.Struct):
    type: str = ""
    name: str | None = None
    arguments: str | None = None
    content: list[_OutputPart] | None = None


class _Why(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str
    output: list[_Item] | None = None
    status: str | None = None
    incomplete_details: _Why | None = None
    usage: Any = None
    instructions: Any = None

    def text(self) -> str:
        return "".join(
            part.text
            for item in self.output or ()
            if item.type == "message"
            for part in item.content or ()
            if part.type == "output_text" and isinstance(part.text, str)
        )

    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(
            ToolCall(name=item.name or "", arguments=item.arguments or "")
            for item in self.output or ()
            if item.type == "function_call"
        )

    def finish_reason(self) -> str | None:
        """Return the reason for the end, in the words of a chat completion."""
        why = self.incomplete_details.reason if self.incomplete_details else None
        return {"completed": "stop", "max_output_tokens": "length"}.get(why or self.status or "", why or self.status)

    def counted(self) -> Usage:
        return counted(self.usage, prompt=_PROMPT, output=_OUTPUT)


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    response: Raw = Raw()  # msgspec knows no optional Raw; an absent one is empty
    error: Any = None
    message: Any = None


_response = msgspec.json.Decoder(_Response)
_event = msgspec.json.Decoder(_Event)


class Response(Value, frozen=True):
    """A whole response. Implements ``reply.WholeReply``."""

    body: bytes
    id: str
    text: str | None
    finish_reason: str | None
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    changes: Mapping[str, Any] = NO_CHANGES
    """Fields that the caller reads otherwise."""

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        """Return the body as it came; ``text`` stays, because nothing is cut out of a response."""
        counted_anew = usage if usage is not None and usage != self.usage else None
        if counted_anew is None and not self.changes:
            return self.body
        with from_upstream("a response"):
            return bytes(_changed(Raw(self.body), self.changes, counted_anew))


def open_response(body: bytes, instructions: Any = None) -> Response:
    """Decode a response to a request with these instructions; raises ``UpstreamGarbage`` if it is none."""
    with from_upstream("a response"):
        response = decoded(_response, body)
    return Response(
        body=body,
        id=response.id,
        text=response.text(),
        finish_reason=response.finish_reason(),
        usage=response.counted(),
        tool_calls=response.calls(),
        changes=_own(response, instructions),
    )


class ResponsesReader:
    """Reads one pass of a stream. Implements ``reply.Reader``."""

    def __init__(self, transcript: Transcript, instructions: Any = None) -> None:
        self.finished = False
        self._instructions = instructions
        self._transcript = transcript
        self._before = transcript.usage

    def read(self, data: bytes, event: bytes) -> bytes | None:
        with from_upstream("an event of a response"):
            opened = decoded(_event, data)
        transcript = self._transcript
        if opened.type == "error" or (not opened.type and opened.error is not None):
            raise broken(opened.error or {"message": opened.message})
        if opened.type == "response.output_text.delta":
            transcript.add_text(opened.delta if isinstance(opened.delta, str) else None)
        if not bytes(opened.response):
            return event
        with from_upstream("an event of a response"):
            response = decoded(_response, bytes(opened.response))
        transcript.reply_id = response.id
        changes = _own(response, self._instructions)
        if opened.type not in _ENDS:
            return _event_of(opened, data, changes) if changes else event
        self.finished = True
        transcript.finish_reason = response.finish_reason()
        transcript.tool_calls = response.calls()
        transcript.usage = self._before + response.counted()
        usage = None if self._before == Usage() else transcript.usage
        return event if usage is None and not changes else _event_of(opened, data, changes, usage)


def _own(response: _Response, instructions: Any) -> Mapping[str, Any]:
    """Return the caller's instructions, if the response repeats others."""
    repeated = response.instructions
    return NO_CHANGES if repeated is None or repeated == instructions else {"instructions": instructions}


def _event_of(opened: _Event, data: bytes, changes: Mapping[str, Any], usage: Usage | None = None) -> bytes:
    """Return the event with a changed response."""
    with from_upstream("an event of a response"):
        fields = {**decode_object(data), "response": _changed(opened.response, changes, usage)}
    return b"event: " + opened.type.encode() + b"\n" + sse.event_of(msgspec.json.encode(fields))


def _changed(response: Raw, changes: Mapping[str, Any], usage: Usage | None) -> Raw:
    """Change fields of a response, and count the usage of every pass; the upstream's other details stay."""
    fields = {**decode_object(bytes(response)), **{name: raw(value) for name, value in changes.items()}}
    if usage is not None:
        fields["usage"] = raw(recounted(fields.get("usage"), usage, prompt=_PROMPT, output=_OUTPUT))
    return raw(fields)
