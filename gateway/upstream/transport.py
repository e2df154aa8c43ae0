"""The wire for https, an aiohttp session with TLS, and the choice of the wire by scheme.

httpx's own pool is poisoned by cancellation (encode/httpcore#1093, #1099) and costs ten times the CPU under load. No
cookies are kept, no redirects followed, no proxies but the given one used. aiohttp's errors become httpx's, as
``wire`` promises; ``http.py`` maps those to the gateway's own.

On a lost kept-alive connection aiohttp repeats only idempotent methods, and every model call is a POST. The second
attempt promised by ``wire`` is therefore made here, on a session that keeps no connections.
"""

import asyncio
import io
import ssl
from collections.abc import AsyncIterable
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakSet

import aiohttp
import httpx
from yarl import URL

from gateway.upstream.http1 import Http1Transport
from gateway.upstream.wire import Request, Wire, WireAnswer

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LARGE_BYTES = 2**20
_reused: ContextVar[bool] = ContextVar("reused", default=False)
"""The last connection of this task had carried a request before."""


def transport_for(scheme: str, *, max_connections: int, proxy: str | None = None) -> Wire:
    """Return a wire for ``http`` or ``https``, straight or through an HTTP proxy."""
    if scheme == "http" and proxy is None:
        return Http1Transport(max_connections=max_connections)
    return AiohttpTransport(max_connections=max_connections, proxy=proxy)


class AiohttpTransport(Wire):
    """A ``Wire`` over aiohttp. The session is made at the first request, inside the running loop."""

    def __init__(self, *, max_connections: int, proxy: str | None = None) -> None:
        self._max_connections = max_connections
        self._proxy = proxy
        self._ssl = ssl.create_default_context()
        self._pool: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: Request) -> WireAnswer:
        if self._closed:
            raise httpx.ConnectError("the transport is closed")
        try:
            async with asyncio.timeout(request.answer_s):
                return _AiohttpAnswer(await self._sent(request))
        except _FOREIGN as error:
            raise _translated(error) from _cause(error)

    async def _sent(self, request: Request) -> aiohttp.ClientResponse:
        if not request.once:
            if self._pool is None:
                self._pool = _session(_Pool(self._max_connections, self._ssl))
            try:
                return await _exchanged(self._pool, request, self._proxy)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if not _lost_in_reuse(error, request):
                    raise
        if self._fresh is None:
            self._fresh = _session(aiohttp.TCPConnector(force_close=True, ssl=self._ssl))
        return await _exchanged(self._fresh, request, self._proxy)

    async def aclose(self) -> None:
        self._closed = True
        for session in (self._pool, self._fresh):
            if session is not None:
                await session.close()


class _Pool(aiohttp.TCPConnector):
    """Kept-alive connections; ``_reused`` tells used connections from fresh ones."""

    def __init__(self, limit: int, context: ssl.SSLContext) -> None:
        super().__init__(limit=limit, ssl=context, keepalive_timeout=30)
        self._seen: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's signature
    ) -> "Connection":
        while True:
            _reused.set(False)
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None, "it was connected a moment ago"
            if not protocol.should_close:
                _reused.set(protocol in self._seen)
                self._seen.add(protocol)
                return connection
            # Bytes arrived while it rested; aiohttp would take them for the answer to this request.
            connection.close()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
        read_bufsize=2**16,
    )


async def _exchanged(session: aiohttp.ClientSession, request: Request, proxy: str | None) -> aiohttp.ClientResponse:
    scheme, host, port = request.origin
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    if request.traceparent:
        headers.append(("traceparent", request.traceparent.decode("latin-1")))
    return await session.request(
        request.method,
        URL(f"{scheme}://{authority}{request.target.decode('ascii')}", encoded=True),
        headers=headers,
        data=_in_pieces(request.body) or None,
        allow_redirects=False,
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=request.connect_s),
    )


def _in_pieces(body: bytes | AsyncIterable[bytes]) -> bytes | AsyncIterable[bytes] | io.BytesIO:
    """Wrap large bodies in a file: aiohttp writes a file in pieces, but bytes at once, with a warning."""
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _LARGE_BYTES else body


def _lost_in_reuse(error: aiohttp.ClientError, request: Request) -> bool:
    """Decide whether to send a request again: its connection was used before, and its body is still at hand."""
    refused = isinstance(error, aiohttp.ClientConnectorError)
    garbage = isinstance(error.__cause__, aiohttp.http_exceptions.HttpProcessingError)
    begun = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(
        error.message, str
    )  # a part of a head
    return _reused.get() and not (refused or garbage or begun) and isinstance(request.body, bytes)


class _AiohttpAnswer:
    """Implements ``wire.WireAnswer``."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.raw_headers

    def arrived(self) -> bytes | None:
        return None

    async def piece(self, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s):
                return await self._response.content.readany()
        except _FOREIGN as error:
            raise _translated(error) from _cause(error)

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


_FOREIGN = (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, ValueError)
"""The errors of aiohttp; time-outs are an ``OSError``."""


def _translated(error: Exception) -> httpx.TransportError:
    """Return httpx's error for an error of aiohttp."""
    text = type(error).__name__
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(text)
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout(text)
    if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        return httpx.ProxyError(text)
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx.ConnectError(text)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | aiohttp.ClientOSError):
        # A status line that is not HTTP arrives wrapped in one of these.
        if isinstance(error.__cause__, aiohttp.http_exceptions.BadStatusLine):
            return httpx.RemoteProtocolError(text)
        return httpx.ReadError(text)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.http_exceptions.HttpProcessingError | ValueError):
        return httpx.RemoteProtocolError(text)
    return httpx.ReadError(text)


def _cause(error: Exception) -> BaseException | None:
    """Return a cause that a traceback may show: aiohttp's errors quote the address, and its query may hold a key."""
    return error.__cause__ if isinstance(error, aiohttp.ClientError) else error
