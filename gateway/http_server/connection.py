"""HTTP/1.1 with our clients: one connection, parsed strictly by llhttp (httptools), for uvicorn's server to hold.

It bounds a request's head and the wait for a silent client, refuses what is not HTTP in OpenAI's shape, and looks at
its connection now and then instead of setting a timer for each request. Answers the requests one after the other, each
in a ``Transaction``. Does no TLS, no HTTP/2 and no WebSockets: a reverse proxy does (``deploy/``).
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
"""Seconds that a client may be silent while it owes the rest of a request; cut off at the latest after twice that."""
KEPT_S: Final = 75.0
"""Seconds that a connection is kept for another request, ``SILENCE_S`` more at most. Longer than clients keep theirs:
who closes first while the other one asks has lost a request."""
_TOO_LONG = "The head of the request is too long."
_IN_A_ROW = 8
"""Requests that wait for their turn, from which on no more are read."""


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
        """Requests that arrived before their turn, behind the one that is being answered."""
        self._transaction: Transaction | None = None
        """The last request whose turn it was."""
        self._renew()
        self._owed = True  # a client that connects has something to ask
        self._deaf = False
        """Whether nothing more is understood. Reading goes on: only who reads hears of a hang-up."""
        self._reading = True
        self.held_up = False
        self._drained = asyncio.Event()

    def _renew(self) -> None:
        self._parser = HttpRequestParser(self)
        # A request behind one with "connection: close" is ignored, instead of spoiling the answer to the first.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._arriving: Transaction | None = None
        """The request whose body is on its way."""
        self._owed = False
        """Whether the client owes the rest of a request."""
        self._in_head = True
        self._head_bytes = 0
        self._bare_bytes = 0  # of what is neither head nor body: chunks' ends, trailers

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
        """Parse what has arrived. Returns what is left where a request offered to speak something else."""
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
            # Not taken up: the request is read as if there were no offer (RFC 9110, section 7.8).
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
        """The client will not ask again. The transport closes."""

    def pause_writing(self) -> None:
        self.held_up = True
        self._drained.clear()

    def resume_writing(self) -> None:
        self.held_up = False
        self._drained.set()

    def _look(self) -> None:
        """What a connection is not kept for: half a request, or none."""
        still_s = self._loop.time() - self._moved
        if self._owed and self._reading and still_s >= self.silence_s:
            self._refuse(408, "The rest of the request did not come in time.")
        elif not self._owed and self._under_way is None and still_s >= self.kept_s:
            self.transport.close()
        else:
            self._watch = self._loop.call_later(self.silence_s, self._look)

    @property
    def _under_way(self) -> Transaction | None:
        """The request that is being answered."""
        return self._transaction if self._transaction is not None and not self._transaction.complete else None

    def _refuse(self, status: int, message: str) -> None:
        """End the connection. What is wrong behind a request that is being answered ends it with that answer."""
        answering, transaction = self._under_way, self._transaction
        if answering is not None and answering is not self._arriving:
            answering.keep_alive = False
            self._deaf = True
            return
        if transaction is None or transaction is not self._arriving or not transaction.written:
            self.transport.write(refusal(status, BadRequest(message)))
        if transaction is not None and transaction is self._arriving:
            transaction.lose()  # it is answered
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
            return  # a trailer, which nobody wants: it must not be taken for a header (RFC 9110, section 6.5.1)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def _without_offer(self) -> bytes:
        """The head of a request that offers to speak something else, without what says so."""
        version = self._parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self._parser.get_method(), self._url, version)]
        for name, value in self._headers:
            if name == b"connection":
                others = (one for one in value.split(b",") if one.strip().lower() != b"upgrade")
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
            return  # the parser takes what follows for something else: see data_received
        if self._head_bytes > MAX_HEAD and sum(len(name) + len(value) for name, value in self._headers) > MAX_HEAD:
            raise ValueError(_TOO_LONG)  # the parser makes it an error of its own
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
        """Go on, unless many requests wait for their turn already. Who does not read hears of no hang-up."""
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
        """uvicorn wants the connection to end, at the latest with the response that is being written."""
        answering = self._under_way
        if answering is None:
            self.transport.close()
        else:
            answering.keep_alive = False


@remembered
def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, the same as it was sent, and query. Raises what the parser makes an error of its own."""
    parsed = parse_url(url)
    raw_path = parsed.path or b"/"
    return unquote(raw_path.decode("ascii")), raw_path, parsed.query or b""
