"""One HTTP/1.1 answer: bytes are fed to it as they arrive, and whoever asked waits for its head and its pieces.

llhttp (httptools) parses, strictly. Knows no socket: its ``AnswerSource`` has one. Each answer has a parser of its own,
so nothing of one is left for the next; what the parser's methods ``on_...`` raise makes the answer garbage.
"""

import asyncio
from typing import Protocol, Self

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.upstream.wire import FRAMING

_BARE_BYTES = 65_536
"""What an answer may hold in a row that is not body: head, interim answers, chunk extensions, trailers."""
_AHEAD_BYTES = 262_144
"""Of a body that is waiting to be read, before reading from the socket pauses."""


class AnswerSource(Protocol):
    """Where an answer comes from."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def hold(self, held: bool) -> None:
        """Stop feeding for a while, or go on."""

    def cut(self) -> None:
        """Nothing more is wanted, nor can be made of what would come."""

    def done(self, *, reusable: bool) -> None:
        """Nobody reads on; called once. ``reusable``: the answer was read to its end, and another may follow."""


class Http1Answer:
    """Implements ``wire.WireAnswer``."""

    def __init__(self, source: AnswerSource, *, bodiless: bool) -> None:
        self._source = source
        self._bodiless = bodiless
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._failure: httpx.TransportError | None = None
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in the pieces
        self._bare = 0  # bytes since the last piece
        self._reusable = False
        self._closed = False
        self.status = 0  # until the head is complete
        self.headers: list[tuple[bytes, bytes]] = []
        self.touched = False
        """Whether anything has arrived."""
        self.complete = False
        """Whether all has arrived."""

    async def begun(self, deadline: float) -> Self:
        """Wait for the head. Raises ``httpx.ReadTimeout``, ``httpx.ReadError`` or ``httpx.RemoteProtocolError``."""
        try:
            if not self.status and self._failure is None:
                await self._news(deadline)
            # What was lost behind the head is for the reader of the body; what is not HTTP has none.
            if self._failure is not None and not (self.status and isinstance(self._failure, httpx.ReadError)):
                raise self._failure
        except BaseException:
            self._source.cut()
            raise
        return self

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
            self._parser = None

    async def _news(self, deadline: float) -> None:
        """Wait until there is a head, a piece or an end."""
        self._waiter = waiter = self._source.loop.create_future()
        timer = self._source.loop.call_at(deadline, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, data: bytes) -> None:
        """Take what has arrived. Not to be called once the answer is complete."""
        assert self._parser is not None
        self.touched = True
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._garbage(error)
        if self._bare > _BARE_BYTES:
            self._garbage(None)
        if self.complete:
            self._parser = None
        elif self._held > _AHEAD_BYTES:
            self._source.hold(True)
        if self.status:
            self._wake()

    def feed_end(self) -> None:
        """Take the end of the connection, which is that of a body without a length (RFC 9112, section 6.3)."""
        if self.status and not any(name.lower() in FRAMING for name, _ in self.headers):
            self.end(None)

    def end(self, failure: httpx.TransportError | None) -> None:
        """Nothing more will arrive: all is there, or the rest is lost. The first end counts."""
        if not self.complete and self._failure is None:
            self._failure = failure
            self.complete = failure is None
            self._wake()

    def _garbage(self, cause: Exception | None) -> None:
        self._reusable = False
        if not self.complete:
            failure = httpx.RemoteProtocolError("what the server sent is not HTTP, or its head is too long")
            failure.__cause__ = cause
            self.end(failure)
            self._source.cut()

    def on_message_begin(self) -> None:
        if self.status:
            raise ValueError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # else it is a trailer
            self.headers.append((name, value.strip()))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 100:
            raise ValueError("no status")
        if status < 200 and status != 101:  # another head follows
            self.headers.clear()
            return
        self.status = status
        self.complete = self._bodiless

    def on_body(self, body: bytes) -> None:
        if not self.status or self.complete:
            raise ValueError("a body where there is none")
        self._bare = 0
        self._held += len(body)
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self.status:
            assert self._parser is not None
            self.complete = True
            self._reusable = self._parser.should_keep_alive()


def _expire(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_exception(httpx.ReadTimeout("nothing arrived in time"))
