"""One request on a connection of ours and its response: the ``receive`` and ``send`` that an ASGI application calls.

uvicorn's own take more steps: head and body of a response are written apart, every header is searched twice, and each
request has an event and a timer. Does not parse, and knows no socket: its ``ClientConnection`` does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from gateway.errors import PreceptorError

log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]
Message = MutableMapping[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSACTION: Final = "preceptor.transaction"
"""Where a scope holds its ``Transaction``."""
STATUS_LINE: Final = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else ''}".encode()
    for status in range(200, 600)
}
_AHEAD_BYTES: Final = 65_536
"""Of a request's body that is waiting to be read, before reading from the socket pauses."""
_BODILESS: Final = frozenset({204, 304})


def refusal(status: int, error: PreceptorError) -> bytes:
    """A response that ends its connection, written past any application."""
    body = error.body()
    head = b"%s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (STATUS_LINE[status], len(body)) + body


class ClientConnection(Protocol):
    """A connection, as its requests see it."""

    held_up: bool
    """The client takes what is written more slowly than it comes."""

    def common_headers(self) -> Iterable[Header]:
        """What every response says."""

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None:
        """Wait while the client is slow; it may be gone then."""

    def read_on(self, wanted: bool) -> None:
        """Go on reading from the client, or stop for a while."""

    def responded(self, transaction: "Transaction") -> None:
        """A response is written to its end, or as far as it will be."""


class Transaction:
    """A request and its response. The response's head is written with the first piece of its body, as ASGI has it.

    ``keep_alive``: another request may follow. ``old``: the client speaks HTTP/1.0. ``expects``: it waits for a 100
    before it sends the body. Holds no scope: the scope may hold the transaction, and a reference circle would wait for
    the garbage collector.
    """

    __slots__ = (
        "_bodiless", "_chunked", "_connection", "_expects", "_handed", "_head", "_held", "_left", "_news", "_old",
        "_pieces", "_started", "_whole", "complete", "disconnected", "keep_alive", "on_lost", "task", "written",
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
        """In which the application answers."""
        self.on_lost: Callable[[], None] | None = None
        """Called when the connection is lost before the response is complete; ``api.hangup`` puts it there."""
        self.disconnected = False
        self.written = False
        """Whether any of the response is."""
        self.complete = False
        """Whether all of the response is written."""
        self._connection = connection
        self._old = old
        self._expects = expects
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in the pieces
        self._whole = False  # the request is
        self._handed = False  # to the application, to its end
        self._news: asyncio.Event | None = None
        self._started = False
        self._head: bytes | None = None  # of the response, until it is written
        self._bodiless = method == "HEAD"
        self._chunked = False
        self._left: int | None = None  # bytes of the response's body that are owed, where that is known

    async def run(self, app: App, scope: Scope) -> None:
        """Have the application answer. What it raises, or leaves undone, ends the connection."""
        try:
            await app(scope, self.receive, self.send)
        except BaseException:
            log.exception("a request failed", extra={"action": "server.bug"})
        else:
            if self.complete or self.disconnected:
                return
            log.error("a request was left without its response", extra={"action": "server.bug"})
        self._fail()

    def _fail(self) -> None:
        if self.complete or self.disconnected:
            return
        if not self.written:
            self._connection.write(refusal(500, PreceptorError("internal error")))
        self.keep_alive = False
        self._end()

    def feed(self, body: bytes) -> None:
        """Take a piece of the request's body; once the response is written nobody wants it."""
        if self.complete:
            return
        self._pieces.append(body)
        self._held += len(body)
        if self._held > _AHEAD_BYTES:
            self._connection.read_on(False)
        self._tell()

    def feed_end(self) -> None:
        """The request is complete."""
        self._whole = True
        self._tell()

    def lose(self) -> None:
        """The client is gone."""
        if not self.complete:
            self.disconnected = True
            if self.on_lost is not None:
                self.on_lost()
        self._tell()

    async def receive(self) -> Message:
        if self._expects and not (self._started or self.disconnected):
            self._expects = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.disconnected or self.complete):
            if self._pieces or (self._whole and not self._handed):
                return self._request()
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    def _request(self) -> Message:
        body = b"".join(self._pieces)
        self._pieces.clear()
        if self._held > _AHEAD_BYTES:
            self._connection.read_on(True)
        self._held = 0
        self._handed = self._whole
        return {"type": "http.request", "body": body, "more_body": not self._whole}

    async def send(self, message: Message) -> None:
        """Raises ``RuntimeError`` for a message that does not fit those before it."""
        if self._connection.held_up:
            await self._connection.drained()
        if self.disconnected:
            return
        kind = message["type"]
        if not self._started and kind == "http.response.start":
            self._head = self._headed(message["status"], message.get("headers", ()))
            self._started = True
        elif self._started and not self.complete and kind == "http.response.body":
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} does not fit what was sent before")

    def _headed(self, status: int, headers: Iterable[Header]) -> bytes:
        lines = [STATUS_LINE[status]]
        left, keep_alive, bodiless = None, self.keep_alive, self._bodiless or status in _BODILESS
        for name, value in (*self._connection.common_headers(), *headers):
            if name == b"content-length":
                left = int(value)
            elif name == b"connection":
                keep_alive = keep_alive and b"close" not in value.lower()
                continue
            lines.append(b"%s: %s" % (name, value))
        chunked = left is None and not (bodiless or self._old)
        if chunked:
            lines.append(b"transfer-encoding: chunked")
        elif left is None and not bodiless:
            keep_alive = False  # the end of the connection is that of the body
        if not keep_alive:
            lines.append(b"connection: close")
        lines.append(b"\r\n")
        head = b"\r\n".join(lines)
        if not head.count(b"\n") == head.count(b"\r") == len(lines) or b"\0" in head:
            raise RuntimeError("a line break in a header")  # it would begin another one
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
        self._tell()
        self._connection.responded(self)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
