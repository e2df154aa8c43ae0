"""An HTTP/1.1 answer: the connection feeds its bytes, the caller waits for its head and its pieces.

llhttp (httptools) parses, strictly. Knows no socket: its ``AnswerSource`` has the socket.
"""

import asyncio
from typing import Protocol, Self

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.upstream.wire import FRAMING

_BARE_BYTES = 65_536
"""Bytes in a row outside the body: head, interim answers, chunk extensions, trailers."""
_AHEAD_BYTES = 262_144
"""Unread bytes of a body at which reading from the socket pauses."""


class AnswerSource(Protocol):
    """The connection of an answer."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def hold(self, held: bool) -> None:
        """Pause or resume feeding."""

    def cut(self) -> None:
        """Cut the connection: further bytes are neither wanted nor readable."""

    def wake_at(self, deadline: float) -> None:
        """Call ``late`` of the answer at this time on the loop's clock at the earliest, and not much later."""

    def done(self, *, reusable: bool) -> None:
        """End the reading; called once. ``reusable``: the answer was read to its end, and another may follow."""


class AnswerParser:
    """Parses the answers of a connection, one after the other. An error raised by ``on_...`` makes an answer garbage.

    Only behind a complete answer on a connection that may be used again does another one follow: there llhttp begins
    anew, with nothing left over.
    """

    __slots__ = ("answer", "llhttp")

    def __init__(self) -> None:
        self.llhttp = HttpResponseParser(self)
        self.answer: Http1Answer | None = None
        """The answer under way."""

    def on_message_begin(self) -> None:
        if self.answer is None or self.answer.status:
            raise ValueError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.answer is not None and not self.answer.status:  # else it is a trailer
            self.answer.headers.append((name, value.strip()))

    def on_headers_complete(self) -> None:
        if self.answer is not None:
            self.answer.take_head(self.llhttp.get_status_code())

    def on_body(self, body: bytes) -> None:
        if self.answer is not None:
            self.answer.take_body(body)

    def on_message_complete(self) -> None:
        if self.answer is not None and self.answer.status:
            self.answer.take_end(keep_alive=self.llhttp.should_keep_alive())


class Http1Answer:
    """Implements ``wire.WireAnswer``."""

    __slots__ = (
        "__weakref__", "_bare", "_bodiless", "_closed", "_deadline", "_failure", "_first_line", "_held", "_parser",
        "_pieces", "_reusable", "_source", "_strict", "_waiter", "complete", "headers", "status", "touched",
    )  # fmt: skip

    def __init__(self, source: AnswerSource, parser: AnswerParser, *, bodiless: bool) -> None:
        self._source = source
        self._bodiless = bodiless
        self._parser: AnswerParser | None = parser
        parser.answer = self
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0  # of the wait, on the loop's clock
        self._failure: httpx.TransportError | None = None
        self._pieces: list[bytes] = []
        self._first_line: bytes | None = b""  # until its end is there
        self._strict = True
        self._held = 0  # bytes in the pieces
        self._bare = 0  # bytes since the last piece
        self._reusable = False
        self._closed = False
        self.status = 0  # until the head is complete
        self.headers: list[tuple[bytes, bytes]] = []
        self.touched = False
        """Bytes have arrived."""
        self.complete = False
        """The whole answer has arrived."""

    async def begun(self, deadline: float) -> Self:
        """Wait for the head. Raises ``httpx.ReadTimeout``, ``httpx.ReadError`` or ``httpx.RemoteProtocolError``."""
        try:
            if not self.status and self._failure is None:
                await self._news(deadline)
            # A loss behind the head is for the reader of the body; garbage has no body.
            if self._failure is not None and not (self.status and isinstance(self._failure, httpx.ReadError)):
                raise self._failure
        except BaseException:
            self._source.cut()
            raise
        return self

    def arrived(self) -> bytes | None:
        if not self.complete or self._held > _AHEAD_BYTES:
            return None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        return body

    async def piece(self, within_s: float) -> bytes:
        deadline = self._source.loop.time() + within_s
        while not self._pieces:
            if self.complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._news(deadline)
        piece = b"".join(self._pieces)
        self._pieces.clear()
        if self._held > _AHEAD_BYTES:
            self._source.hold(False)
        self._held = 0
        return piece

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._source.done(reusable=self._reusable and self._held <= _AHEAD_BYTES)
            if not self.complete:
                self.end(httpx.ReadError("the answer was closed"))
            self._let_go()

    def _let_go(self) -> None:
        """Part from the parser: they point at each other."""
        if self._parser is not None:
            self._parser.answer = None
            self._parser = None

    async def _news(self, deadline: float) -> None:
        """Wait for a head, a piece or the end."""
        self._waiter = waiter = self._source.loop.create_future()
        self._deadline = deadline
        self._source.wake_at(deadline)
        try:
            await waiter
        finally:
            self._waiter = None

    def late(self, now: float) -> float | None:
        """End a wait whose deadline has passed. Return the deadline of a wait that goes on; ``None`` without any."""
        if self._waiter is None or self._waiter.done():
            return None
        if now < self._deadline:
            return self._deadline
        self._waiter.set_exception(httpx.ReadTimeout("nothing arrived in time"))
        return None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive. Not to be called after the end of the answer."""
        assert self._parser is not None
        self.touched = True
        self._bare += len(data)
        if self._first_line is not None:
            data = self._opening(data)
        try:
            self._parser.llhttp.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._garbage(error)
        if self._bare > _BARE_BYTES:
            self._garbage(None)
        if self.complete:
            self._let_go()
        elif self._held > _AHEAD_BYTES:
            self._source.hold(True)
        if self.status:
            self._wake()

    def _opening(self, data: bytes) -> bytes:
        """Hold bytes back to the end of the first line, and settle how lines end.

        A server that ends its first line with LF alone may do so throughout (RFC 9112, section 2.2), on a connection
        for this answer only. In any other head a lone LF stays an error.
        """
        data = (self._first_line or b"") + data
        end = data.find(b"\n")
        if end < 0 and len(data) < _BARE_BYTES:
            self._first_line = data
            return b""
        self._first_line = None
        if end >= 0 and data[end - 1 : end] != b"\r" and self._parser is not None:
            self._parser.llhttp.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
            self._strict = False
        return data

    def feed_end(self) -> None:
        """Take the end of the connection: it ends a body without a length (RFC 9112, section 6.3)."""
        if self.status and not any(name.lower() in FRAMING for name, _ in self.headers):
            self.end(None)

    def end(self, failure: httpx.TransportError | None) -> None:
        """End the answer: complete, or with the rest lost. The first end counts."""
        if not self.complete and self._failure is None:
            self._failure = failure
            self.complete = failure is None
            self._wake()

    def _garbage(self, cause: Exception | None) -> None:
        self._reusable = False
        if not self.complete:
            failure = httpx.RemoteProtocolError("the server's answer is not HTTP, or its head is too long")
            failure.__cause__ = cause
            self.end(failure)
            self._source.cut()

    def take_head(self, status: int) -> None:
        if status < 100:
            raise ValueError("no status")
        if status < 200 and status != 101:  # another head follows
            self.headers.clear()
            return
        self.status = status
        self.complete = self._bodiless

    def take_body(self, body: bytes) -> None:
        if not self.status or self.complete:
            raise ValueError("a body where there is none")
        self._bare = 0
        self._held += len(body)
        self._pieces.append(body)

    def take_end(self, *, keep_alive: bool) -> None:
        self.complete = True
        self._reusable = self._strict and keep_alive
