"""The messages between parent and child over their socket: frames of MessagePack, each behind its length.

Both are of one version and one user: the parent starts the child from its own code.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway import framing
from gateway.domain import Value
from gateway.errors import (
    NO_HEADERS,
    Overloaded,
    PreceptorError,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamResting,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from gateway.settings import Settings
from gateway.settings.document import convert
from gateway.upstream.base import Call

_ERRORS: Mapping[str, type[PreceptorError]] = {
    kind.__name__: kind
    for kind in (
        Overloaded, UpstreamBroken, UpstreamError, UpstreamGarbage, UpstreamResting, UpstreamTimeout,
        UpstreamTooLarge, UpstreamUnreachable,
    )
}  # fmt: skip


class Configured(Value, frozen=True, tag=True):
    """The configuration in effect now; sent to the child."""

    settings: Mapping[str, Any]


class UpstreamsState(Value, frozen=True, tag=True):
    """The state of the upstreams, by name; sent to the child. Only busy and resting upstreams are listed."""

    in_flight: Mapping[str, int] = {}
    resting: Mapping[str, str] = {}


class Ask(Value, frozen=True, tag=True):
    """A call to an upstream of the parent; sent to the parent."""

    id: int
    upstream: str
    call: Call


class GiveUp(Value, frozen=True, tag=True):
    """The end of the wait for a call; sent to the parent."""

    id: int


class Alive(Value, frozen=True, tag=True):
    """A sign of life of the child's event loop; sent to the parent."""


class Answered(Value, frozen=True, tag=True):
    """The whole reply to a call, whatever its status; sent to the child."""

    id: int
    status: int
    headers: Mapping[str, str]
    body: bytes


class Failed(Value, frozen=True, tag=True):
    """A call without a reply; sent to the child."""

    id: int
    kind: str
    message: str
    headers: Mapping[str, str] = NO_HEADERS

    @classmethod
    def of(cls, number: int, error: PreceptorError) -> "Failed":
        return cls(id=number, kind=type(error).__name__, message=error.message, headers=dict(error.headers))

    def error(self) -> PreceptorError:
        """Return the error as the parent would have raised it."""
        return _ERRORS.get(self.kind, PreceptorError)(self.message, headers=self.headers)


ToChild = Configured | UpstreamsState | Answered | Failed
ToParent = Alive | Ask | GiveUp
_decoder = msgspec.msgpack.Decoder(ToChild | ToParent)


def frame(message: ToChild | ToParent) -> bytes:
    """Return a message in its wire form."""
    return framing.framed(msgspec.msgpack.encode(message))


async def received(reader: asyncio.StreamReader) -> ToChild | ToParent | None:
    """Return the next message; ``None`` once the other side is gone."""
    body = await framing.received(reader)
    return None if body is None else _decoder.decode(body)


def configured(settings: Settings) -> Configured:
    """Return a configuration without the gateway's secrets, but for the store's address: the child opens it, too."""
    upstreams = {name: section.without_secrets() for name, section in settings.upstreams.items()}
    server = msgspec.structs.replace(settings.server, admin_key=None, counters=None)
    tracing = msgspec.structs.replace(settings.tracing, headers={})
    bare = msgspec.structs.replace(settings, server=server, tracing=tracing, upstreams=upstreams, keys={})
    return Configured(settings=msgspec.to_builtins(bare, enc_hook=str))


def settings_in(message: Configured) -> Settings:
    """Return the configuration of a message."""
    settings: Settings = convert(message.settings, Settings)
    return settings
