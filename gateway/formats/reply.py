"""What every endpoint's replies have in common: read as they pass by, and marked with the exchange's id."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol, TypeVar

import msgspec

from gateway.domain import ToolCall, Usage
from gateway.errors import BadRequest, UpstreamBroken, UpstreamGarbage

T = TypeVar("T")

UNREADABLE = (BadRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading an upstream's bytes may raise."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_STREAMS = 1024
"""Streams under way whose ids are remembered, so that not every event of one has to be told anew."""
_LONGEST = 500
"""Characters of an upstream's own words about an error that are handed on."""


class WholeReply(Protocol):
    """A whole reply, looked into."""

    @property
    def id(self) -> str | None:
        """The upstream's id, where the reply keeps it."""

    @property
    def text(self) -> str | None: ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]: ...

    @property
    def usage(self) -> Usage: ...

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        """The body under the exchange's id, with the text or the usage replaced where given.

        Raises ``UpstreamGarbage`` if what must be replaced cannot be read.
        """


class Reader(Protocol):
    """Reads one pass of a streamed reply into a transcript."""

    finished: bool
    """Whether the reply came to its own end."""

    def read(self, data: bytes, event: bytes) -> bytes | None:
        """What the caller receives for an event with that data; ``None`` if it is not for the caller.

        Raises ``UpstreamGarbage``, and ``UpstreamBroken`` if the event reports an error.
        """


def id_replaced(data: bytes, upstream_id: str | None, exchange_id: str) -> bytes | None:
    """A reply or an event with the exchange's id in place of the upstream's, every other byte as it came.

    ``None`` where the upstream's id is not written plainly. A key in quotes cannot stand inside a JSON string, so its
    first hit is the field.
    """
    if upstream_id is not None:
        for theirs, ours in _id_fields(upstream_id, exchange_id):
            if theirs in data:
                return data.replace(theirs, ours, 1)
    return None


@lru_cache(_STREAMS)
def _id_fields(upstream_id: str, exchange_id: str) -> tuple[tuple[bytes, bytes], ...]:
    """The field with the upstream's id and with ours, as the two usual ways of writing JSON have it."""
    ids = msgspec.json.encode(upstream_id), msgspec.json.encode(exchange_id)
    return tuple((key + ids[0], key + ids[1]) for key in (b'"id":', b'"id": '))


def decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """What an upstream sent as a type. Half a surrogate pair is let through, as it is by the clients' own readers.

    Raises ``msgspec.DecodeError``.
    """
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        if not _SURROGATE.search(data):
            raise
        try:
            return msgspec.convert(json.loads(data), decoder.type)
        except (ValueError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error


@contextmanager
def from_upstream(what: str) -> Iterator[None]:
    """Bytes read in here came from the upstream: what cannot be read raises ``UpstreamGarbage``."""
    try:
        yield
    except UNREADABLE:
        raise garbage(what) from None


def garbage(what: str) -> UpstreamGarbage:
    """What cannot be read as what it should be."""
    return UpstreamGarbage(f"the upstream sent something that is not {what}")


def broken(error: object) -> UpstreamBroken:
    """What an upstream's error in the middle of a stream is to the client."""
    message = error.get("message") if isinstance(error, dict) else error
    words = f": {message[:_LONGEST]}" if isinstance(message, str) and message else ""
    return UpstreamBroken(f"the upstream reported an error in the middle of its stream{words}")
