"""A client's HTTP/1.1 connection, parsed strictly by llhttp (httptools). uvicorn's server holds the connections.

Bounds the size of a request's head and the wait for a silent client. Errors of the protocol are answered in OpenAI's
shape. Answers requests in order, each in a ``Transaction``; one timer per connection, none per request. Does no TLS, no
HTTP/2 and no WebSockets: a reverse proxy does (``deploy/``).
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, cast
from urllib.parse import unquote

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from gateway.errors import BadRequest
from gateway.http_server.request_response import TRANSACTION, App, Header, Scope, Transaction, refusal
from gateway.memo import remembered

MAX_HEAD: Final = 65_536
"""Bytes of request line and headers."""
SILENCE_S: Final = 30.0
"""Seconds of silence in the middle of a request, before the connection is cut; twice that at most."""
KEPT_S: Final = 75.0
"""Seconds without a request before the connection is closed, ``SILENCE_S`` more at most. Clients should close first: a
request on its way to a closing server is lost."""
_TOO_LONG = "The head of the request is too long."
_IN_A_ROW = 8
"""Most requests of a connection that wait for their turn; then reading stops."""


class HttpProtocol(asyncio.Protocol):
    """One connection. Implements ``request_response.ClientConnection``."""

    silence_s = SILENCE_S
    kept_s = KEPT_S
    transport: asyncio.Transport

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
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
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own protocols only
        self._ends = get_local_addr(self.transport), get_remote_addr(self.transport)
        self._moved = self._loop.time()
        self._watch = self._loop.call_later(self.silence_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        self._server.connections.discard(self)
        self.resume_writing()
        self._asked.clear()
        if self._transaction is not None:
            self._transaction.lose()

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
            head = self._without_offer()
            self._renew()
            self._parse(head)
            return memoryview(data)[offer.args[0] :]
        except HttpParserError:
            too_long = not self._in_head and self._owed and self._head_bytes > MAX_HEAD
            self._refuse(431, _TOO_LONG) if too_long else self._refuse(400, "This is not HTTP/1.1.")
        else:
            bare = self._head_bytes if self._in_head else self._bare_bytes
            if bare > MAX_HEAD and not self.transport.is_closing():
                self._refuse(431, _TOO_LONG)
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
        """Close the connection if it waited too long for the rest of a request, or for a request."""
        still_s = self._loop.time() - self._moved
        if self._owed and self._reading and still_s >= self.silence_s:
            self._refuse(408, "The rest of the request did not come in time.")
        elif not self._owed and self._under_way is None and still_s >= self.kept_s:
            self.transport.close()
        else:
            self._watch = self._loop.call_later(self.silence_s, self._look)

    @property
    def _under_way(self) -> Transaction | None:
        """The request with an incomplete response."""
        return self._transaction if self._transaction is not None and not self._transaction.complete else None

    def _refuse(self, status: int, message: str) -> None:
        """Answer with an error and close. An error behind an unanswered request closes after that request's answer."""
        answering, transaction = self._under_way, self._transaction
        if answering is not None and answering is not self._arriving:
            answering.keep_alive = False
            self._deaf = True
            return
        if transaction is None or transaction is not self._arriving or not transaction.written:
            self.transport.write(refusal(status, BadRequest(message)))
        if transaction is not None and transaction is self._arriving:
            transaction.lose()  # its answer is written already
        self.transport.close()

    # The parser's side.

    def on_message_begin(self) -> None:
        self._owed = True
        self._url = b""
        self._headers: list[Header] = []
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer, not needed here: it must not be mistaken for a header (RFC 9110, section 6.5.1)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def _without_offer(self) -> bytes:
        """Return the head of the current request without its offer to upgrade."""
        version = self._parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self._parser.get_method(), self._url, version)]
        for name, value in self._headers:
            if name == b"connection":
                others = (option for option in value.split(b",") if option.strip().lower() != b"upgrade")
                lines.append(b"connection: " + b",".join(others))
            elif name != b"upgrade":
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join((*lines, b"\r\n"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        tunnel = parser.get_method() == b"CONNECT"
        self._offered = parser.should_upgrade() and not tunnel
        if self._offered:
            return  # the parser does not parse the bytes behind the head: see _parse
        if self._head_bytes > MAX_HEAD and sum(len(name) + len(value) for name, value in self._headers) > MAX_HEAD:
            raise ValueError(_TOO_LONG)  # the parser turns it into HttpParserError
        version = parser.get_http_version()
        path, raw_path, query = _target(self._url)
        server, client = self._ends
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": server,
            "client": client,
            "scheme": "http",
            "method": parser.get_method().decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._app_state.copy(),
        }
        keep_alive = version == "1.1" and parser.should_keep_alive() and not tunnel
        transaction = Transaction(
            self, scope["method"], keep_alive=keep_alive, old=version == "1.0", expects=self._expects
        )
        scope[TRANSACTION] = self._arriving = transaction
        if self._under_way is None:
            self._begin(transaction, scope)
        else:
            self._asked.append((transaction, scope))
            self.read_on(True)

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
        transaction.task = self._loop.create_task(self._answer(transaction, scope))
        self._server.tasks.add(transaction.task)

    async def _answer(self, transaction: Transaction, scope: Scope) -> None:
        try:
            await transaction.run(self._app, scope)
        finally:
            self._server.tasks.discard(cast("asyncio.Task[None]", transaction.task))

    def common_headers(self) -> Iterable[Header]:
        return self._server.default_headers

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    async def drained(self) -> None:
        await self._drained.wait()

    def read_on(self, wanted: bool) -> None:
        """Resume or pause reading. Stays paused while many requests wait. A hang-up shows only while reading."""
        wanted = wanted and len(self._asked) < _IN_A_ROW
        if wanted != self._reading and not self.transport.is_closing():
            self._reading = wanted
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


@remembered
def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """Split a request's target into decoded path, raw path and query. The parser turns errors into its own."""
    parsed = parse_url(url)
    raw_path = parsed.path or b"/"
    return unquote(raw_path.decode("ascii")), raw_path, parsed.query or b""
