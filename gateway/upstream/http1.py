"""The wire for plain http: HTTP/1.1 on an ``asyncio.Protocol``; ``http1_answer`` reads the answers.

Fast: a list of idle connections, and no request or response objects of a library. No TLS, no HTTP/2, and no second
attempt beyond the promise of ``wire``.

A connection carries a single request at a time. Bytes that arrive between requests, or after the end of an answer, end
the connection: they might be taken for the next answer.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import httpx

from gateway.upstream.concurrency_limit import ConcurrencyLimit
from gateway.upstream.http1_answer import AnswerParser, Http1Answer
from gateway.upstream.wire import Origin, Request, Wire, WireAnswer

_HEADS = 256
"""Size of the cache of heads: most requests differ in their bodies only."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods without a ``content-length`` for an empty body."""


class Http1Transport(Wire):
    """A ``Wire`` over plain TCP.

    ``max_connections`` bounds the requests under way; more wait. After ``kept_s`` seconds of rest a connection is not
    used again: a firewall on the way may have forgotten it.
    """

    def __init__(self, *, max_connections: int, kept_s: float = 30.0) -> None:
        self._kept_s = kept_s
        self._limit = ConcurrencyLimit(max_connections)
        self._idle: defaultdict[Origin, deque[_Connection]] = defaultdict(deque)
        self._open: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def send(self, request: Request) -> WireAnswer:
        body = request.body if isinstance(request.body, bytes) else b"".join([piece async for piece in request.body])
        sent = b"".join((
            _head(request.method, request.target, request.headers),
            _traceparent(request.traceparent) if request.traceparent else b"",
            _length(request, body),
            body,
        ))  # fmt: skip
        if self._loop is None:  # asking for the loop again takes as long as finding a connection
            self._loop = asyncio.get_running_loop()
        deadline = self._loop.time() + request.answer_s
        if not self._limit.try_acquire():
            await self._turn(deadline)
        try:
            kept = None if request.once else self._kept(request.origin)
            if kept is not None:
                answer = kept.ask(sent, request.method)
                try:
                    return await answer.begun(deadline)
                except httpx.ReadError:
                    if answer.touched:
                        raise
            connection = await self._connected(request, deadline)
            return await connection.ask(sent, request.method).begun(deadline)
        except BaseException:
            self._limit.release()
            raise

    async def _turn(self, deadline: float) -> None:
        try:
            await self._limit.acquire(deadline - asyncio.get_running_loop().time())
        except TimeoutError as error:
            raise httpx.PoolTimeout("no connection became free") from error

    def _kept(self, origin: Origin) -> "_Connection | None":
        """Return the connection used last, so that surplus connections grow old."""
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if connection.usable(self._kept_s):
                return connection
            connection.cut()
        return None

    async def _connected(self, request: Request, deadline: float) -> "_Connection":
        if self._closed:
            raise httpx.ConnectError("the transport is closed")
        loop = asyncio.get_running_loop()
        _, host, port = origin = request.origin
        try:
            async with asyncio.timeout(min(request.connect_s, deadline - loop.time())):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop, self._open, lambda done: self._put_back(origin, done)), host, port
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("the connection was not accepted in time") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error)) from error
        if self._closed:  # in the meantime
            connection.cut()
            raise httpx.ConnectError("the transport is closed")
        return connection

    def _put_back(self, origin: Origin, connection: "_Connection") -> None:
        """Free the place of a closed answer, and its connection if another request may use it."""
        self._limit.release()
        idle = self._idle[origin]
        if self._closed or not connection.usable(self._kept_s):
            connection.cut()
        else:
            idle.append(connection)
        while len(idle) > 1 and not idle[0].usable(self._kept_s):
            idle.popleft().cut()

    async def aclose(self) -> None:
        self._closed = True
        for connection in list(self._open):
            connection.cut()
        self._idle.clear()
        await asyncio.sleep(0)  # in which the sockets are closed


class _Connection(asyncio.Protocol):
    """A socket, and the answer that is under way on it. Implements ``http1_answer.AnswerSource``."""

    _transport: asyncio.Transport

    def __init__(
        self, loop: asyncio.AbstractEventLoop, opened: "set[_Connection]", put_back: "Callable[[_Connection], None]"
    ) -> None:
        self.loop = loop
        self._opened = opened
        self._put_back = put_back
        self._answer: Http1Answer | None = None
        self._parser: AnswerParser | None = None
        self._idle_since = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        """A single timer for all waits: making and cancelling one for each costs more than a late look at the next."""

    def ask(self, sent: bytes, method: str) -> Http1Answer:
        """Write a request and return its answer; on a lost connection the answer has failed already."""
        if self._parser is None:
            self._parser = AnswerParser()
        answer = self._answer = Http1Answer(self, self._parser, bodiless=method == "HEAD")
        if self._transport.is_closing():
            answer.end(httpx.ReadError("the connection was closed"))
        else:
            self._transport.write(sent)
        return answer

    def usable(self, kept_s: float) -> bool:
        return not self._transport.is_closing() and self.loop.time() - self._idle_since < kept_s

    def hold(self, held: bool) -> None:
        if not self._transport.is_closing():
            (self._transport.pause_reading if held else self._transport.resume_reading)()

    def cut(self) -> None:
        self._transport.abort()

    def wake_at(self, deadline: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        deadline = None if self._answer is None else self._answer.late(self.loop.time())
        if deadline is not None:
            self.wake_at(deadline)

    def done(self, *, reusable: bool) -> None:
        """End an answer. A connection with an unwritten part of its request carries no other request."""
        self._answer = None
        self._idle_since = self.loop.time()
        if not reusable or self._transport.get_write_buffer_size():
            self.cut()
        self._put_back(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.complete:
            self.cut()
        else:
            self._answer.feed(data)

    def eof_received(self) -> None:
        if self._answer is not None:
            self._answer.feed_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        self._parser = None  # it refers to itself; an answer under way keeps it
        if self._timer is not None:
            self._timer.cancel()
        if self._answer is not None:
            failure = httpx.ReadError("the connection was lost")
            failure.__cause__ = exc
            self._answer.end(failure)


@lru_cache(_HEADS)
def _head(method: str, target: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Build request line and headers. Raises ``httpx.LocalProtocolError`` for a line break inside any of them."""
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target), *(b"%s: %s" % header for header in headers), b""]
    head = b"\r\n".join(lines)
    if head.count(b"\r") != len(lines) - 1 or head.count(b"\n") != len(lines) - 1 or b"\0" in head:
        raise httpx.LocalProtocolError("a line break in a header or a target")
    if lines[0].count(b" ") != 2:
        raise httpx.LocalProtocolError("a space in a method or a target")
    return head


def _traceparent(value: bytes) -> bytes:
    """Build the header's line. Raises ``httpx.LocalProtocolError`` unless it is letters, digits and dashes."""
    if not value.replace(b"-", b"").isalnum():
        raise httpx.LocalProtocolError("not the place of a span")
    return b"traceparent: %b\r\n" % value


def _length(request: Request, body: bytes) -> bytes:
    """Build the end of a head."""
    if body or request.method not in _WITHOUT_BODY:
        return b"content-length: %d\r\n\r\n" % len(body)
    return b"\r\n"
