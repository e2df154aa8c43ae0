"""What an upstream is to the rest of the gateway: something that takes a call and answers with a status and bytes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from gateway.domain import Value
from gateway.errors import NO_HEADERS


class Call(Value, frozen=True):
    """One request to an upstream. ``body`` already names the upstream's own model."""

    model: str
    """The upstream's own name of the model; empty where a request that is passed through names none."""
    body: bytes
    path: str = "/chat/completions"
    """Below the upstream's ``/v1``, percent-encoded as it came."""
    stream: bool = False
    method: str = "POST"
    once: bool = False
    """Whether it may have changed something when it was lost, and so must not reach the upstream twice."""
    query: str = ""
    """Without its question mark, as it came."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Request headers that are handed on, in lower case: from an allow-list, never a key. A ``content-type`` here
    replaces JSON's."""


class UpstreamReply(Protocol):
    """An answer whose status is known and whose body is still to come. Close it, read or not."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""

    async def read(self) -> bytes:
        """The whole body. Raises ``UpstreamBroken`` or ``UpstreamTimeout``."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, in whatever pieces. Raises as ``read`` does."""

    async def aclose(self) -> None:
        """Give the connection back, or cut it if the body was not read to its end."""


class BufferedReply:
    """An ``UpstreamReply`` whose body is here already."""

    def __init__(self, body: bytes, *, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self.status, self.headers = status, headers
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        """There is no connection."""


class Upstream(Protocol):
    """One method to call; ``open`` and ``aclose`` belong to the lifespan of the process."""

    async def open(self) -> None:
        """Start whatever must run. Does not wait until it is ready."""

    async def send(self, call: Call) -> UpstreamReply:
        """Send and wait for the status line, whatever the status is.

        Raises ``UpstreamUnreachable``, ``UpstreamGarbage``, ``UpstreamBroken``, ``UpstreamTimeout``.
        """

    def ready(self) -> str | None:
        """``None`` if it can be called now, else one line that says why not."""

    async def aclose(self) -> None: ...
