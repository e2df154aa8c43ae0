"""The one HTTP transport: httpx's transport seam over an aiohttp session.

httpx's own pool is poisoned by cancellation (encode/httpcore#1093, #1099) and costs ten times the CPU under load, so
aiohttp carries the bytes. Called directly, without ``httpx.AsyncClient``, it costs half of what the client costs.
No cookies are kept, no redirects followed, no proxies read from the environment. Foreign errors end here: aiohttp's
become httpx's, so that any httpx client can use the transport; ``http.py`` maps those to ours.

A server may close a kept-alive connection in the moment in which the next request is written to it. aiohttp repeats
only idempotent methods then, and every model call is a POST: so a request that a *reused* connection lost before the
head of a response is sent once more, on a fresh connection.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakSet

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_reused: ContextVar[bool] = ContextVar("reused", default=False)
"""Whether the connection that this task was given last had carried a request before."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An ``httpx.AsyncBaseTransport`` over aiohttp.

    Time-outs come per request from httpx's ``timeout`` extension: ``connect`` and ``read`` (between two pieces), in
    seconds. The session is made at the first request, inside the running loop.
    """

    def __init__(self, *, max_connections: int) -> None:
        self._max_connections = max_connections
        self._pool: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise httpx.ConnectError("the transport is closed", request=request)
        try:
            response = await self._sent(request)
        except Exception as error:
            raise _translated(error, request) from error
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Body(response, request), request=request
        )

    async def _sent(self, request: httpx.Request) -> aiohttp.ClientResponse:
        if self._pool is None:
            self._pool = _session(_Pool(self._max_connections))
        try:
            return await _exchanged(self._pool, request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not _lost_in_reuse(error, request):
                raise
        if self._fresh is None:
            self._fresh = _session(aiohttp.TCPConnector(force_close=True, ssl=ssl.create_default_context()))
        return await _exchanged(self._fresh, request)

    async def aclose(self) -> None:
        self._closed = True
        for session in (self._pool, self._fresh):
            if session is not None:
                await session.close()


class _Pool(aiohttp.TCPConnector):
    """Kept-alive connections; says, in ``_reused``, whether the one that it hands out is used."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit, ssl=ssl.create_default_context(), keepalive_timeout=30)
        self._seen: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's signature
    ) -> "Connection":
        _reused.set(False)
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        assert protocol is not None, "it was connected a moment ago"
        _reused.set(protocol in self._seen)
        self._seen.add(protocol)
        return connection


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept"),
        read_bufsize=2**16,
    )


async def _exchanged(session: aiohttp.ClientSession, request: httpx.Request) -> aiohttp.ClientResponse:
    timeout = request.extensions.get("timeout", {})
    body = request.content if isinstance(request.stream, httpx.ByteStream) else request.stream
    return await session.request(
        request.method,
        URL(str(request.url), encoded=True),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in (b"host", b"content-length", b"transfer-encoding")
        ],
        data=body or None,
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout.get("connect"), sock_read=timeout.get("read")),
    )


def _lost_in_reuse(error: aiohttp.ClientError, request: httpx.Request) -> bool:
    """Whether a request may be sent again: its connection was a used one, and its body is still at hand."""
    refused = isinstance(error, aiohttp.ClientConnectorError)
    garbage = isinstance(error.__cause__, aiohttp.http_exceptions.HttpProcessingError)
    return _reused.get() and not refused and not garbage and isinstance(request.stream, httpx.ByteStream)


class _Body(httpx.AsyncByteStream):
    """A response's body; closing it before its end cuts the connection, which stops the upstream."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except Exception as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _translated(error: Exception, request: httpx.Request) -> Exception:
    """httpx's error for one of aiohttp's; anything else stays what it is."""
    text = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(text, request=request)
    if isinstance(error, asyncio.TimeoutError):
        return httpx.ReadTimeout(text, request=request)
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx.ConnectError(text, request=request)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | aiohttp.ClientOSError):
        # A status line that is not HTTP arrives wrapped in one of these.
        if isinstance(error.__cause__, aiohttp.http_exceptions.BadStatusLine):
            return httpx.RemoteProtocolError(text, request=request)
        return httpx.ReadError(text, request=request)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.http_exceptions.HttpProcessingError | ValueError):
        return httpx.RemoteProtocolError(text, request=request)
    if isinstance(error, aiohttp.ClientError | OSError):
        return httpx.ReadError(text, request=request)
    return error
