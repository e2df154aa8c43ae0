"""The seam between upstreams and sockets: a request goes in, an answer comes out with its body still to come.

``transport`` carries requests over aiohttp (https), ``http1`` over its own protocol (plain http). Both are httpx
transports as well, for callers such as the ``ollama`` package. Failures are httpx's transport errors on every wire. No
cookies, no redirects, no content codings: bytes as they are.
"""

from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import httpx

from gateway.domain import Value

FOREVER_S = 1e9
FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Origin(NamedTuple):
    """A server: scheme, host (IPv6 without brackets) and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> "Origin":
        return cls(url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))


class Request(Value, frozen=True):
    """A request without framing headers: the wire writes them. Times are in seconds."""

    origin: Origin
    method: str
    target: bytes
    """Path and query, percent-encoded."""
    headers: tuple[tuple[bytes, bytes], ...]
    """``Host`` included."""
    traceparent: bytes = b""
    """Another header, apart because it differs with every request; empty for none."""
    body: bytes | AsyncIterable[bytes] = b""
    once: bool = False
    """Sent on a fresh connection, so that there is no reason to send it again."""
    connect_s: float = FOREVER_S
    answer_s: float = FOREVER_S
    """Until the status line: connecting and waiting in queues included."""

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.origin!r})"


class WireAnswer(Protocol):
    """A reply with a known status. Close it, read or not."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]: ...

    def arrived(self) -> bytes | None:
        """Return the whole rest of the body if it is here already, and count it as read; else ``None``."""

    async def piece(self, within_s: float) -> bytes:
        """Return the bytes that have arrived; empty at the end of the body. Raises ``httpx.TransportError``."""

    def close(self) -> None:
        """Give the connection back. With a part of the body unread, cut it instead: that stops the server."""


class Wire(httpx.AsyncBaseTransport):
    """A carrier of requests. Reuses connections, and survives cancelled callers."""

    @abstractmethod
    async def send(self, request: Request) -> WireAnswer:
        """Send and wait for the status line.

        A request lost on a *reused* connection before its answer began is sent once more, on a fresh connection: a
        server may close a kept-alive connection just when the next request is written to it. Raises
        ``httpx.TransportError``.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Cut every connection; later requests raise ``httpx.ConnectError``."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Implement httpx's seam. Its ``connect`` and ``read`` time-outs hold."""
        limits = request.extensions.get("timeout", {})
        read_s = limits.get("read") or FOREVER_S
        body = request.content if isinstance(request.stream, httpx.ByteStream) else request.stream
        assert isinstance(body, bytes | AsyncIterable)
        try:
            answer = await self.send(
                Request(
                    origin=Origin.of(request.url),
                    method=request.method,
                    target=request.url.raw_path,
                    headers=tuple(header for header in request.headers.raw if header[0].lower() not in FRAMING),
                    body=body,
                    connect_s=limits.get("connect") or FOREVER_S,
                    answer_s=read_s,
                )
            )
        except httpx.TransportError as error:
            error.request = request
            raise
        return httpx.Response(
            answer.status, headers=list(answer.headers), stream=_AnswerStream(answer, request, read_s), request=request
        )


class _AnswerStream(httpx.AsyncByteStream):
    """An answer's body for httpx."""

    def __init__(self, answer: WireAnswer, request: httpx.Request, read_s: float) -> None:
        self._answer = answer
        self._request = request
        self._read_s = read_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while piece := await self._answer.piece(self._read_s):
                yield piece
        except httpx.TransportError as error:
            error.request = self._request
            raise

    async def aclose(self) -> None:
        self._answer.close()
