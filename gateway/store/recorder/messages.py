"""The messages between a gateway and its recorder: frames of MessagePack.

Both are of one version and one user: the recorder is started from the gateway's own code.
"""

import asyncio
from collections.abc import Sequence
from typing import Self

import msgspec

from gateway import framing
from gateway.domain import Exchange, Feedback
from gateway.errors import Conflict, PreceptorError, StoreError
from gateway.store.selection import Address


class RecorderMessage(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of every message."""


class Exchanges(RecorderMessage, frozen=True):
    """Exchanges to record, in order; sent to the recorder."""

    batch: tuple[Exchange, ...]


class Judgement(RecorderMessage, frozen=True):
    """Feedback to store behind every exchange sent before it; sent to the recorder."""

    number: int
    feedback: Feedback
    address: Address | None = None


class Withdrawal(RecorderMessage, frozen=True):
    """The end of the wait for feedback: it must not be stored any more; sent to the recorder."""

    number: int


class RecorderState(RecorderMessage, frozen=True):
    """The state of the recorder; sent to the gateway at the start and with every change."""

    frames: int = 0
    """Messages ``Exchanges`` that are stored now, the oldest first."""
    dropped: int = 0
    """Exchanges among them that the store refused for their content."""
    error: str | None = None
    """The store's last complaint; ``None`` while it works."""


class Failure(RecorderMessage, frozen=True):
    """The reason why feedback was not stored."""

    kind: str
    message: str
    param: str | None = None
    code: str | None = None

    @classmethod
    def of(cls, error: PreceptorError) -> Self:
        return cls(type(error).__name__, error.message, error.param, error.code)

    def error(self) -> PreceptorError:
        """Return the error as the store raised it."""
        kinds = {kind.__name__: kind for kind in (Conflict, StoreError)}
        return kinds.get(self.kind, PreceptorError)(self.message, param=self.param, code=self.code)


class FeedbackAnswer(RecorderMessage, frozen=True):
    """The answer to ``Judgement``: the id of the exchange, ``None`` for an unknown one; sent to the gateway."""

    number: int
    exchange_id: str | None = None
    failure: Failure | None = None


ToRecorder = Exchanges | Judgement | Withdrawal
ToGateway = RecorderState | FeedbackAnswer
_decoder = msgspec.msgpack.Decoder(ToRecorder | ToGateway)
_exchange = msgspec.msgpack.Decoder(Exchange)
_encode = msgspec.msgpack.Encoder().encode
_HEAD = b"\x92" + _encode(Exchanges.__name__) + b"\xdd"
"""MessagePack for an array of two, the name of ``Exchanges``, and an array whose length follows in four bytes."""


def encoded(exchange: Exchange) -> bytes:
    """Return an exchange in its form for ``batch``.

    Raises ``UnicodeEncodeError`` or ``OverflowError`` for a text or number that no database takes.
    """
    return _encode(exchange)


def batch(exchanges: Sequence[bytes]) -> list[bytes]:
    """Return the frame of ``Exchanges`` in pieces: the head, then the encoded exchanges as they are."""
    head = _HEAD + len(exchanges).to_bytes(4, "big")
    return [framing.head(len(head) + sum(map(len, exchanges))) + head, *exchanges]


def exchanges_in(pieces: Sequence[bytes]) -> tuple[Exchange, ...]:
    """Return the exchanges of a frame by ``batch``."""
    return tuple(map(_exchange.decode, pieces[1:]))


def frame(message: ToRecorder | ToGateway) -> bytes:
    """Return a message in its wire form."""
    return framing.framed(_encode(message))


async def received(reader: asyncio.StreamReader) -> ToRecorder | ToGateway | None:
    """Return the next message; ``None`` once the other side is gone."""
    body = await framing.received(reader)
    return None if body is None else _decoder.decode(body)
