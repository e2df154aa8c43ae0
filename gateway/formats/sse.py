"""Server-sent events: cut out of a byte stream, and changed in single fields. Does not know what they mean.

Events are relayed as the bytes that arrived; a changed field leaves the others as they came.
"""

from typing import Any

import msgspec

from gateway.errors import UpstreamGarbage
from gateway.formats.envelope import decode_object, raw
from gateway.formats.reply import from_upstream, id_replaced

DONE_DATA = b"[DONE]"
DONE = b"data: [DONE]\n\n"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MARK = b"\xef\xbb\xbf"
"""A byte order mark, which may stand in front of a stream and is no part of it."""
MAX_EVENT = 16 * 10**6
"""Bytes of an event at most."""


class Events:
    """Cuts a byte stream into events, in whatever pieces it arrives; each event keeps its own bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events completed by this chunk, each with its closing blank line."""
        data = self._rest + chunk
        if not self._begun:
            if len(data) < len(_MARK) and _MARK.startswith(data):
                self._rest = data
                return []
            self._begun, data = True, data.removeprefix(_MARK)
        if b"\r" in data:
            # A lone CR at the end may be half of a CRLF: keep it for the next chunk.
            held = b"\r" if data.endswith(b"\r") else b""
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *events, self._rest = data.split(b"\n\n")
        if len(self._rest) > MAX_EVENT:
            raise UpstreamGarbage("the upstream sent an event without an end")
        return [event + b"\n\n" for event in events if event.strip()]

    def end(self) -> bytes:
        """Return the rest of an ended stream: an event without its blank line, or nothing."""
        rest, self._rest = self._rest, b""
        return rest.removesuffix(b"\r")


def looks_like_events(piece: bytes) -> bool:
    """Decide by its beginning whether a body is a stream of events, where its content type does not tell."""
    head = piece.removeprefix(_MARK).lstrip()
    return any(head.startswith(field) or field.startswith(head) for field in _FIELDS)


def data_of(event: bytes) -> bytes | None:
    """Return the data of an event, its lines joined; ``None`` for a comment or empty data."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:  # nearly every one
        return event[6:-2] or None
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) or None


def with_id(event: bytes, upstream_id: str | None, exchange_id: str) -> bytes:
    """Put the event under the exchange's id; every other byte stays if the upstream's id is written plainly.

    Looked for in the data alone: another line may hold anything.
    """
    start = 0 if event.startswith(b"data:") else event.find(b"\ndata:") + 1
    end = event.find(b"\n", start)
    if end >= len(event) - 2 or not event[end:].strip(b"\r\n"):  # the data is one line, and the last
        replaced = id_replaced(event[start:], upstream_id, exchange_id)
        if replaced is not None:
            return event[:start] + replaced
    return with_field(data_of(event) or b"{}", "id", exchange_id)


def with_field(data: bytes, name: str, value: Any) -> bytes:
    """Return an event for the data with a top-level field set. Raises ``UpstreamGarbage`` if the data is no object."""
    with from_upstream("an event with a JSON object"):
        return event_of(msgspec.json.encode({**decode_object(data), name: raw(value)}))


def event_of(data: bytes) -> bytes:
    """Return the event for some data."""
    return b"data: " + data + b"\n\n"
