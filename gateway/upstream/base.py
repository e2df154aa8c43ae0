"""The contract of an upstream: it takes a call and answers with a status and bytes."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Protocol

from gateway.domain import Value
from gateway.errors import NO_HEADERS


class Call(Value, frozen=True):
    """One request to an upstream. ``body`` already names the upstream's own model."""

    model: str
    """The upstream's own name of the model; empty where a request that is passed through names none."""
    body: bytes
    path: str = "/chat/completions"
    """Below the upstream's ``/v1``, percent-encoded as received."""
    stream: bool = False
    method: str = "POST"
    once: bool = False
    """Must not reach the upstream twice: a lost call may have changed something already."""
    query: str = ""
    """Without its question mark, as received."""
    bounded: bool = True
    """A stream longer than ``max_answer_mb`` is an error. ``False``: it is handed through and never held, as a file."""
    adaptable: bool = False
    """The body may be adapted to the model's quirks: the model was chosen by the configuration, not by the caller."""
    optional: tuple[str, ...] = ()
    """Fields of the body added by the gateway, to be left out where the model refuses them."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Request headers to hand on, in lower case: from an allow-list, never a key. A ``content-type`` here replaces
    JSON's."""
    traceparent: bytes = b""
    """The gateway's own header of this name; apart from the others, because it differs with every request."""


class UploadCall(Call, frozen=True, kw_only=True):
    """A request with a body in pieces: handed on once, and never held."""

    pieces: AsyncIterable[bytes]
    length: int | None = None
    """Bytes of the body, if they are known."""


class UpstreamReply(Protocol):
    """An answer with a known status and a body still to come. Close it, read or not."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""

    async def read(self) -> bytes:
        """Return the whole body. Raises ``UpstreamBroken`` or ``UpstreamTimeout``."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives, in pieces of any size.

        Raises ``UpstreamBroken`` or ``UpstreamTimeout``.
        """

    async def aclose(self) -> None:
        """Give the connection back, or cut it if the body was not read to its end."""


class BufferedReply:
    """A complete ``UpstreamReply`` in memory."""

    def __init__(self, body: bytes, *, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self.status, self.headers, self.body = status, headers, body

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None:
        """Do nothing: no connection is held."""


class Upstream(Protocol):
    """One method to call; ``open`` and ``aclose`` belong to the lifespan of the process."""

    async def open(self) -> None:
        """Start child processes and connections. Does not wait until they are ready."""

    async def send(self, call: Call) -> UpstreamReply:
        """Send and wait for the status line; an error status is a reply, too.

        Raises ``UpstreamUnreachable``, ``UpstreamGarbage``, ``UpstreamBroken``, ``UpstreamTimeout``.
        """

    def ready(self) -> str | None:
        """Return ``None`` if the upstream can be called now, else the reason in one line."""

    async def aclose(self) -> None: ...


class Wrapper:
    """The lifespan of an upstream around another; subclasses add ``send``."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def open(self) -> None:
        await self._upstream.open()

    def ready(self) -> str | None:
        return self._upstream.ready()

    async def aclose(self) -> None:
        await self._upstream.aclose()
