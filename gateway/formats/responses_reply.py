"""Replies of ``/responses``: whole, or as typed events of a stream. They keep the upstream's id and all of its bytes.

After a first pass only the usage of the finished response is counted anew.
"""

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

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        """Return the body as it came; ``text`` stays, because nothing is cut out of a response."""
        if usage is None or usage == self.usage:
            return self.body
        with from_upstream("a response"):
            return bytes(_recounted(Raw(self.body), usage))


def open_response(body: bytes) -> Response:
    """Decode a response; raises ``UpstreamGarbage`` if it is none."""
    with from_upstream("a response"):
        response = decoded(_response, body)
    return Response(
        body=body,
        id=response.id,
        text=response.text(),
        finish_reason=response.finish_reason(),
        usage=response.counted(),
        tool_calls=response.calls(),
    )


class ResponsesReader:
    """Reads one pass of a stream. Implements ``reply.Reader``."""

    def __init__(self, transcript: Transcript) -> None:
        self.finished = False
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
        if opened.type not in _ENDS:
            return event
        self.finished = True
        transcript.finish_reason = response.finish_reason()
        transcript.tool_calls = response.calls()
        transcript.usage = self._before + response.counted()
        if self._before == Usage():
            return event
        with from_upstream("an event of a response"):
            fields = {**decode_object(data), "response": _recounted(opened.response, transcript.usage)}
        return b"event: " + opened.type.encode() + b"\n" + sse.event_of(msgspec.json.encode(fields))


def _recounted(response: Raw, usage: Usage) -> Raw:
    """Replace the usage of a response with the count of every pass; the upstream's other details stay."""
    fields = decode_object(bytes(response))
    fields["usage"] = raw(recounted(fields.get("usage"), usage, prompt=_PROMPT, output=_OUTPUT))
    return raw(fields)
