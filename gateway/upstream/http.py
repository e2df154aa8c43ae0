"""An OpenAI-compatible server reached over HTTP: vLLM, llama.cpp, OpenAI itself and the like.

The transport is called directly, with headers and addresses built once. Its four time-outs are: connect, first byte
(until the status line), idle (between two pieces) and total.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import httpx

from gateway import __version__
from gateway.errors import (
    PreceptorError,
    UpstreamBroken,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import Upstream as UpstreamSettings
from gateway.upstream.base import Call, Reply
from gateway.upstream.transport import AiohttpTransport


class HttpUpstream:
    """``kind = "openai"``. Implements ``upstream.base.Upstream``."""

    def __init__(self, name: str, settings: UpstreamSettings, *, base_url: str, api_key: str | None) -> None:
        self._name = name
        self._settings = settings
        self._base_url = httpx.URL(base_url.rstrip("/"))
        self._urls: dict[str, httpx.URL] = {}
        self._headers = [
            (b"Host", self._base_url.netloc),
            (b"Content-Type", b"application/json"),
            (b"User-Agent", f"preceptor/{__version__}".encode()),
        ]
        if api_key:
            self._headers.append((b"Authorization", f"Bearer {api_key}".encode()))
        # The other three are kept here: the transport's own read time-out cannot tell the first byte from the next.
        self._extensions = {"timeout": {"connect": settings.connect_timeout_s}}
        self._transport = AiohttpTransport(max_connections=settings.max_connections)

    async def open(self) -> None:
        """Nothing to start: connections are made when they are needed."""

    def ready(self) -> str | None:
        return None

    async def send(self, call: Call) -> Reply:
        request = httpx.Request(
            "POST",
            self._url(call.path),
            headers=self._headers,
            content=call.body,
            extensions=self._extensions,
        )
        settings = self._settings
        deadline = time.monotonic() + settings.total_timeout_s
        limit = min(settings.first_byte_timeout_s, settings.total_timeout_s)
        try:
            async with asyncio.timeout(limit):
                response = await self._transport.handle_async_request(request)
        except TimeoutError as error:
            raise UpstreamTimeout(f"upstream {self._name!r} sent no status within {limit:g} s") from error
        except httpx.TransportError as error:
            raise self._unanswered(error) from error
        # A server may send its headers first and work on an unstreamed reply then.
        idle = settings.idle_timeout_s if call.stream else settings.first_byte_timeout_s
        reply = _HttpReply(self._name, settings, response, idle, deadline)
        if not 200 <= reply.status < 600:
            await reply.aclose()
            raise UpstreamGarbage(
                f"upstream {self._name!r} answered with status {reply.status}, which HTTP does not have"
            )
        return reply

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = self._base_url.copy_with(
                raw_path=self._base_url.raw_path.rstrip(b"/") + path.encode()
            )
        return url

    def _unanswered(self, error: httpx.TransportError) -> PreceptorError:
        """What it means that there is no status line."""
        name = self._name
        match error:
            case httpx.ConnectTimeout():
                limit = self._settings.connect_timeout_s
                return UpstreamTimeout(f"upstream {name!r} did not accept a connection within {limit:g} s")
            case httpx.TimeoutException():
                return UpstreamTimeout(f"the connection to upstream {name!r} timed out")
            case httpx.ProtocolError() | httpx.UnsupportedProtocol():
                return UpstreamGarbage(f"upstream {name!r} answered something that is not HTTP")
            case httpx.ConnectError():
                return UpstreamUnreachable(f"upstream {name!r} cannot be reached: is it running at its base_url?")
            case _:
                return UpstreamUnreachable(f"upstream {name!r} closed the connection without an answer")


class _HttpReply:
    """Implements ``upstream.base.Reply``."""

    def __init__(
        self, name: str, settings: UpstreamSettings, response: httpx.Response, idle_s: float, deadline: float
    ) -> None:
        self._name = name
        self._settings = settings
        self._response = response
        self._idle_s = idle_s
        self._deadline = deadline
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        pieces = self._response.stream.__aiter__()
        left = self._deadline - time.monotonic()
        try:
            while True:
                async with asyncio.timeout(min(left, self._idle_s)):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                yield piece
                left = self._deadline - time.monotonic()
        except TimeoutError as error:
            raise self._late(left) from error
        except httpx.TransportError as error:
            raise UpstreamBroken(f"upstream {self._name!r} broke off its answer") from error

    def _late(self, left: float) -> UpstreamTimeout:
        if left < self._idle_s:
            return UpstreamTimeout(
                f"upstream {self._name!r} took longer than {self._settings.total_timeout_s:g} s in all"
            )
        return UpstreamTimeout(f"upstream {self._name!r} sent nothing for {self._idle_s:g} s")

    async def aclose(self) -> None:
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        await self._response.stream.aclose()
