"""One request with its response: the ``receive`` and ``send`` of ASGI for our own connections.

Faster than uvicorn's implementation, which writes head and body of a response apart, searches every header twice and
makes an event and a timer per request. Neither parses nor touches a socket: the ``ClientConnection`` does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from gateway.errors import PreceptorError
from gateway.http_server.request_head import Header, Scope

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSACTION: Final = "preceptor.transaction"
"""The key of the ``Transaction`` in an ASGI scope."""
STATUS_LINE: Final = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else ''}".encode()
    for status in range(200, 600)
}
_AHEAD_BYTES: Final = 65_536
"""Unread bytes of a request's body, beyond which reading from the socket pauses."""
_BODILESS: Final = frozenset({204, 304})


def refusal(error: PreceptorError) -> bytes:
    """Return an error response that closes the connection, for use without an application."""
    body = error.body()
    head = b"%s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (STATUS_LINE[error.status], len(body)) + body


class ClientConnection(Protocol):
    """A connection from the point of view of its requests."""

    held_up: bool
    """The client reads more slowly than the response is written."""

    def common_headers(self) -> Iterable[Header]:
        """Return the headers of every response."""

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None:
        """Wait while the client is slow. It may have hung up afterwards."""

    def read_on(self, wanted: bool) -> None:
        """Resume reading from the client, or pause it."""

    def responded(self, transaction: "Transaction") -> None:
        """Note the end of a response, complete or broken off."""

    def ended(self, transaction: "Transaction") -> None:
        """Note the end of a request's task: its application has nothing left to do."""


class Transaction:
    """A request and its response. As ASGI demands, the head is written with the first piece of the body.

    ``keep_alive``: another request may follow. ``old``: the client speaks HTTP/1.0. ``expects``: the client waits for
    status 100 before it sends the body. Holds no scope: the scope holds the transaction, and a reference circle would
    wait for the garbage collector.
    """

    __slots__ = (
        "_bodiless", "_chunked", "_connection", "_expects", "_handed", "_head", "_left", "_news", "_old",
        "_pieces", "_started", "complete", "disconnected", "due", "held", "keep_alive", "on_lost", "received", "task",
        "written",
    )  # fmt: skip

    def __init__(
        self,
        connection: ClientConnection,
        method: str,
        *,
        keep_alive: bool = True,
        old: bool = False,
        expects: bool = False,
    ) -> None:
        self.keep_alive = keep_alive
        self.task: asyncio.Task[None] | None = None
        """The application's task."""
        self.on_lost: Callable[[], None] | None = None
        """Called when the connection is lost before the response is complete; set by ``api.hangup``."""
        self.disconnected = False
        self.received = False
        """The whole request has arrived."""
        self.due: float | None = None
        """Time on the event loop's clock by which a slow client must have taken the response."""
        self.written = False
        """The head of the response is written."""
        self.complete = False
        """All of the response is written."""
        self._connection = connection
        self._old = old
        self._expects = expects
        self._pieces: list[bytes] = []
        self.held = 0
        """Bytes of the request's body that nobody has taken yet."""
        self._handed = False  # the application has received all of it
        self._news: asyncio.Event | None = None
        self._started = False
        self._head: bytes | None = None  # head of the response, until it is written
        self._bodiless = method == "HEAD"
        self._chunked = False
        self._left: int | None = None  # bytes of the body still to write, if the length is known

    async def run(self, app: App, scope: Scope) -> None:
        """Let the application answer. An exception or an unfinished response closes the connection."""
        try:
            await app(scope, self.receive, self.send)
        except BaseException:
            log.exception("a request failed", extra={"action": "server.bug"})
            self._fail()
        else:
            if not (self.complete or self.disconnected):
                log.error("a request was left without its response", extra={"action": "server.bug"})
                self._fail()
        finally:
            self._connection.ended(self)

    def _fail(self) -> None:
        if self.complete or self.disconnected:
            return
        if not self.written:
            self._connection.write(refusal(PreceptorError("internal error")))
        self.keep_alive = False
        self._end()

    def feed(self, body: bytes) -> None:
        """Take a piece of the request's body. Dropped once the response is complete."""
        if self.complete:
            return
        self._pieces.append(body)
        self.held += len(body)
        if self.held > _AHEAD_BYTES:
            self._connection.read_on(False)
        self._wake()

    def feed_end(self) -> None:
        """Note the end of the request."""
        self.received = True
        self._wake()

    def lose(self) -> None:
        """Note that the client is gone."""
        if not self.complete:
            self.disconnected = True
            if self.on_lost is not None:
                self.on_lost()
        self._wake()

    def short_body(self) -> bytes | None:
        """Return the request's body if all of it is here and nobody had to wait for it; ``None``: ``receive`` it."""
        if not self.received or self._handed or self.held > _AHEAD_BYTES or self.disconnected or self.complete:
            return None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.held = 0
        self._handed = True
        return body

    def respond(self, status: int, headers: Iterable[Header], body: bytes) -> bool:
        """Write a whole response at once. Return ``False`` if the client is too slow for that: ``send`` it."""
        if self._connection.held_up or self._started:
            return False
        if not self.disconnected:
            self._head = self._head_of(status, headers)
            self._started = True
            self._write(body, more=False)
        return True

    async def receive(self) -> Message:
        if self._expects and not (self._started or self.disconnected):
            self._expects = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.disconnected or self.complete):
            if self._pieces or (self.received and not self._handed):
                return self._request()
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    def _request(self) -> Message:
        body = b"".join(self._pieces)
        self._pieces.clear()
        if self.held > _AHEAD_BYTES:
            self._connection.read_on(True)
        self.held = 0
        self._handed = self.received
        return {"type": "http.request", "body": body, "more_body": not self.received}

    async def send(self, message: Message) -> None:
        """Write a message of the application. Raises ``RuntimeError`` for a message out of order."""
        if self._connection.held_up:
            await self._connection.drained()
        if self.disconnected:
            return
        kind = message["type"]
        if not self._started and kind == "http.response.start":
            self._head = self._head_of(message["status"], message.get("headers", ()))
            self._started = True
        elif self._started and not self.complete and kind == "http.response.body":
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} does not fit what was sent before")

    def _head_of(self, status: int, headers: Iterable[Header]) -> bytes:
        lines = [STATUS_LINE[status]]
        left, keep_alive, bodiless = None, self.keep_alive, self._bodiless or status in _BODILESS
        for name, value in (*self._connection.common_headers(), *headers):
            if name == b"content-length":
                left = int(value)
            elif name == b"connection":
                keep_alive = keep_alive and b"close" not in value.lower()
                continue
            lines.append(name + b": " + value)
        chunked = left is None and not (bodiless or self._old)
        if chunked:
            lines.append(b"transfer-encoding: chunked")
        elif left is None and not bodiless:
            keep_alive = False  # the body ends with the connection
        if self._expects:
            keep_alive = False  # the client may still send its body, or not: the next request could begin anywhere
        if not keep_alive:
            lines.append(b"connection: close")
        lines.append(b"\r\n")
        head = b"\r\n".join(lines)
        if not head.count(b"\n") == head.count(b"\r") == len(lines) or b"\0" in head:
            raise RuntimeError("a line break in a header")  # it would begin another header
        self._left, self._bodiless, self._chunked = None if bodiless else left, bodiless, chunked
        self.keep_alive = keep_alive
        return head

    def _write(self, body: bytes, *, more: bool) -> None:
        pieces = []
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body is not as long as its content-length")
        if self._head is not None:
            pieces.append(self._head)
            self._head = None
            self.written = True
        if self._chunked:
            pieces += (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            pieces += () if more else (b"0\r\n\r\n",)
        elif not self._bodiless:
            pieces.append(body)
        self._connection.write(b"".join(pieces))
        if not more:
            self._end()

    def _end(self) -> None:
        self.complete = True
        self._pieces.clear()
        self._wake()
        self._connection.responded(self)

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
