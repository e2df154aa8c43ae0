"""A client's HTTP/1.1 connection, parsed strictly by llhttp (httptools). uvicorn's server holds the connections.

Bounds the size of a request's head and every wait for the client (``limits``). Errors of the protocol are answered in
OpenAI's shape. Answers requests in order, each in a ``Transaction``; a timer per connection, none per request. Does no
TLS, no HTTP/2 and no WebSockets: a reverse proxy does (``deploy/``).
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NoReturn, cast

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from gateway.errors import Overloaded, PreceptorError
from gateway.http_server.crowding import make_room
from gateway.http_server.limits import ConnectionLimits, Cuts, WriteProgress
from gateway.http_server.request_head import (
    FRAMING,
    BadHead,
    Header,
    Scope,
    expects_continue,
    mistake_in,
    new_scope,
    without_upgrade,
)
from gateway.http_server.request_response import TRANSACTION, App, Transaction, refusal
from gateway.presence import Presence

MAX_HEAD: Final = 65_536
"""Bytes of request line and headers."""
_LIMITS: Final = ConnectionLimits()
_ALWAYS: Final = Presence()
_IN_A_ROW = 8
"""Most requests of a connection that wait for their turn; then reading stops."""


class HttpProtocol(asyncio.Protocol):
    """One connection. Implements ``request_response.ClientConnection`` and ``crowding.Guest``."""

    transport: asyncio.Transport

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits = _LIMITS,
        cuts: Cuts | None = None,
        presence: Presence = _ALWAYS,
    ) -> None:
        self._limits = limits
        self._presence = presence
        self._cuts = cuts or Cuts()
        self._app = cast("App", config.loaded_app)
        self._server = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._asked: deque[tuple[Transaction, dict[str, Any]]] = deque()
        """Requests behind the current one, with their scopes."""
        self._transaction: Transaction | None = None
        """The current request, or the last one while there is none."""
        self._renew()
        self._owed = True  # a client connects because it has a request
        self._mistake: BadHead | None = None
        """The mistake in the head that stopped the parser."""
        self._deaf = False
        """Ignore all further input. Reading goes on, because a hang-up shows only while reading."""
        self._reading = True
        self.held_up = False
        self._drained = asyncio.Event()

    def _renew(self) -> None:
        self._parser = HttpRequestParser(self)
        # A request behind one with "connection: close" is ignored, instead of spoiling the answer to the first.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._arriving: Transaction | None = None
        """The request that is being received."""
        self._owed = False
        """A request is incomplete: the client owes its rest."""
        self._in_head = True
        self._head_bytes = 0
        self._bare_bytes = 0  # neither head nor body: framing of chunks, trailers

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._moved = self._request_began = self._loop.time()
        self._progress = WriteProgress(self._moved)
        self._watch = self._loop.call_later(self._limits.look_s, self._look)
        others = cast("set[HttpProtocol]", self._server.connections)
        full = len(others) >= self._limits.connections
        has_room = not full or make_room(others)
        others.add(self)
        if not has_room:
            self._deaf = True
            self._cuts.note("no room")
            self._refuse(Overloaded("Too many connections: try again later.", code="too_many_connections"))
            return
        self._ends = get_local_addr(self.transport), get_remote_addr(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        self._server.connections.discard(self)
        self.resume_writing()
        self._asked.clear()
        if self._transaction is not None:
            self._transaction.lose()
        # They point back: a lost connection and all of its request would wait for the garbage collector.
        self._transaction = self._arriving = None
        del self._parser

    def data_received(self, data: bytes) -> None:
        self._moved = self._loop.time()
        rest = self._parse(data)
        while rest and not self.transport.is_closing():
            rest = self._parse(rest)

    def _parse(self, data: bytes | memoryview) -> memoryview | None:
        """Parse received bytes. Return the rest behind a request with an offer to upgrade, to be parsed next."""
        if self._deaf:
            return None
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as offer:
            if not self._offered:
                return None
            # Declined: the request is read as if there were no offer (RFC 9110, section 7.8).
            parser = self._parser
            version = parser.get_http_version().encode()
            head = without_upgrade(parser.get_method(), self._url, version, self._headers)
            self._renew()
            self._parse(head)
            return memoryview(data)[offer.args[0] :]
        except HttpParserError:
            self._refuse(self._mistake or BadHead(400, "This is not HTTP/1.1."))
        else:
            bare = self._head_bytes if self._in_head else self._bare_bytes
            if bare > MAX_HEAD and not self.transport.is_closing():
                self._refuse(_too_long())
        return None

    def eof_received(self) -> None:
        """Accept the end of the client's side. The transport closes."""

    def pause_writing(self) -> None:
        self.held_up = True
        self._drained.clear()

    def resume_writing(self) -> None:
        self.held_up = False
        self._drained.set()

    def _look(self) -> None:
        """Cut the connection if a wait for the client took too long. Goes on until the connection is lost."""
        now, limits = self._loop.time(), self._limits
        self._watch = self._loop.call_later(limits.look_s, self._look)
        if self._progress.stalled(self.transport.get_write_buffer_size(), now, limits.write_s) or self._is_late(now):
            self._cuts.note("slow reader")
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._owed and self._reading:
            reason = limits.too_slow(now - self._moved, now - self._request_began, in_head=self._in_head)
            if reason is not None:
                self._cuts.note(reason)
                self._refuse(BadHead(408, "The rest of the request did not come in time."))
        elif not self._owed and self._under_way is None and now - self._moved >= limits.kept_s:
            self.transport.close()

    def _is_late(self, now: float) -> bool:
        """Decide whether a client reads so slowly that its answer takes longer than the upstream may take for it."""
        answering = self._under_way
        return self.held_up and answering is not None and answering.due is not None and now > answering.due

    @property
    def idle_since(self) -> float | None:
        answering = self._under_way
        return self._moved if answering is None or not answering.received else None

    def evict(self) -> None:
        self._cuts.note("crowded out")
        self.transport.close()

    @property
    def _under_way(self) -> Transaction | None:
        """The request with an incomplete response."""
        return self._transaction if self._transaction is not None and not self._transaction.complete else None

    def _refuse(self, error: PreceptorError) -> None:
        """Answer with an error and close. An error behind an unanswered request closes after that request's answer."""
        answering, transaction = self._under_way, self._transaction
        if answering is not None and answering is not self._arriving:
            answering.keep_alive = False
            self._deaf = True
            return
        if transaction is None or transaction is not self._arriving or not transaction.written:
            self.write(refusal(error))
        if transaction is not None and transaction is self._arriving:
            transaction.lose()  # its answer is written already
        self.transport.close()

    # The parser's side.

    def on_message_begin(self) -> None:
        self._owed = True
        self._request_began = self._moved
        self._url = b""
        self._headers: list[Header] = []
        self._framing: list[Header] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer, not needed here: it must not be mistaken for a header (RFC 9110, section 6.5.1)
        name = name.lower()
        if name in FRAMING:
            self._framing.append((name, value))
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        method = parser.get_method()
        tunnel = method == b"CONNECT"
        self._offered = parser.should_upgrade() and not tunnel
        if self._offered:
            return  # the parser does not parse the bytes behind the head: see _parse
        if self._head_bytes > MAX_HEAD and sum(len(name) + len(value) for name, value in self._headers) > MAX_HEAD:
            self._stop(_too_long())
        version = parser.get_http_version()
        mistake = mistake_in(version, self._framing)
        if mistake is not None:
            self._stop(mistake)
        scope = new_scope(method, self._url, version, self._headers)
        scope["server"], scope["client"] = self._ends
        scope["state"] = self._app_state.copy()
        keep_alive = version == "1.1" and parser.should_keep_alive() and not tunnel and not self._presence.leaving
        expects = len(self._framing) > 1 and expects_continue(self._framing)
        transaction = Transaction(self, scope["method"], keep_alive=keep_alive, old=version == "1.0", expects=expects)
        scope[TRANSACTION] = self._arriving = transaction
        if self._under_way is None:
            self._begin(transaction, scope)
        else:
            self._asked.append((transaction, scope))
            self.read_on(True)

    def _stop(self, mistake: BadHead) -> NoReturn:
        """Stop the parser: it turns the error into its own."""
        self._mistake = mistake
        raise mistake

    def on_body(self, body: bytes) -> None:
        assert self._arriving is not None
        self._bare_bytes = 0
        self._arriving.feed(body)

    def on_message_complete(self) -> None:
        if self._offered:
            return
        assert self._arriving is not None
        self._arriving.feed_end()
        self._arriving = None
        self._owed = False
        self._in_head = True
        self._head_bytes = 0

    # The side of the requests.

    def _begin(self, transaction: Transaction, scope: Scope) -> None:
        self._transaction = transaction
        transaction.task = self._loop.create_task(transaction.run(self._app, scope))
        self._server.tasks.add(transaction.task)

    def ended(self, transaction: Transaction) -> None:
        self._server.tasks.discard(cast("asyncio.Task[None]", transaction.task))

    def common_headers(self) -> Iterable[Header]:
        return self._server.default_headers

    def write(self, data: bytes) -> None:
        self._progress.written += len(data)
        self.transport.write(data)

    async def drained(self) -> None:
        await self._drained.wait()

    def read_on(self, wanted: bool) -> None:
        """Resume or pause reading. Stays paused while many requests wait. A hang-up shows only while reading."""
        wanted = wanted and len(self._asked) < _IN_A_ROW
        if wanted != self._reading and not self.transport.is_closing():
            self._reading = wanted
            self._request_began = self._loop.time()  # a pause of ours is not the client's fault
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def responded(self, transaction: Transaction) -> None:
        self._server.total_requests += 1
        self._moved = self._loop.time()
        if not transaction.keep_alive:
            self.transport.close()
            return
        if self._asked:
            self._begin(*self._asked.popleft())
        self.read_on(True)

    def shutdown(self) -> None:
        """Close the connection, after the current response if there is one. uvicorn calls this when it stops."""
        answering = self._under_way
        if answering is None:
            self.transport.close()
        else:
            answering.keep_alive = False


def _too_long() -> BadHead:
    return BadHead(431, "The head of the request is too long.")
