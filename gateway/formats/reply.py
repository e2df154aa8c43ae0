"""The common interface of all replies: read as they pass by, and marked with the exchange's id."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import msgspec

from gateway.domain import ToolCall, Usage
from gateway.errors import BadRequest, UpstreamBroken, UpstreamGarbage
from gateway.formats.lenient import relaxed

T = TypeVar("T")

UNREADABLE = (BadRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors of reading an upstream's bytes."""
_ID_KEYS = (b'"id":', b'"id": ')
"""The key of an id in the two usual ways of writing JSON."""
_LONGEST = 500
"""Characters of an upstream's error message that the client receives at most."""


class WholeReply(Protocol):
    """A whole reply, decoded."""

    @property
    def id(self) -> str | None:
        """The upstream's id if the reply keeps it."""

    @property
    def body(self) -> bytes:
        """The reply as it came."""

    @property
    def text(self) -> str | None: ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]: ...

    @property
    def usage(self) -> Usage: ...

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        """Return the body under the exchange's id, with another text or usage if given.

        Raises ``UpstreamGarbage`` if the part to replace cannot be read.
        """


class Reader(Protocol):
    """Reads one pass of a streamed reply into a transcript."""

    finished: bool
    """Whether the reply came to its own end."""

    def read(self, data: bytes, event: bytes) -> bytes | None:
        """Return the event as the caller receives it; ``None`` if it is not for the caller.

        Raises ``UpstreamGarbage``, and ``UpstreamBroken`` if the event reports an error.
        """


def id_replaced(data: bytes, upstream_id: str | None, exchange_id: str) -> bytes | None:
    """Replace the upstream's id in a reply or an event with the exchange's; every other byte stays.

    Return ``None`` if the upstream's id is not written plainly. A key in quotes cannot stand inside a JSON string, so
    its first hit is the field.
    """
    if upstream_id is not None:
        theirs = msgspec.json.encode(upstream_id)
        for key in _ID_KEYS:
            if key + theirs in data:
                return data.replace(key + theirs, key + msgspec.json.encode(exchange_id), 1)
    return None


def decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Decode an upstream's bytes as a type, as leniently as the clients' own readers.

    Half a surrogate pair passes, and wrong accounting counts as missing. Raises ``msgspec.DecodeError``.
    """
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        try:
            return msgspec.convert(relaxed(json.loads(data)), decoder.type)
        except (ValueError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error


@contextmanager
def from_upstream(expected: str) -> Iterator[None]:
    """Read an upstream's bytes in this context: unreadable ones raise ``UpstreamGarbage``."""
    try:
        yield
    except UNREADABLE:
        raise garbage(expected) from None


def garbage(expected: str) -> UpstreamGarbage:
    """Return the error for bytes that are not the ``expected`` thing, such as "a chat completion"."""
    return UpstreamGarbage(f"the upstream sent something that is not {expected}")


def broken(error: object) -> UpstreamBroken:
    """Return the client's error for an upstream's error in the middle of a stream."""
    message = error.get("message") if isinstance(error, dict) else error
    words = f": {message[:_LONGEST]}" if isinstance(message, str) and message else ""
    return UpstreamBroken(f"the upstream reported an error in the middle of its stream{words}")
