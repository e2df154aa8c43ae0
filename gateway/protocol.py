"""uvicorn's HTTP/1.1 with what it leaves open: a bound on a request's head, an end to waiting for a silent client, and
OpenAI's shape for what is not HTTP at all."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.api.hangup import CONNECTION
from gateway.errors import BadRequest

MAX_HEAD = 65_536
"""Bytes of request line and headers."""
SILENCE_S = 30.0
"""Seconds that a client may be silent while it owes the rest of a request; cut off at the latest after twice that."""
_TOO_LONG = "The head of the request is too long."


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Its watch looks at it now and then, so that a request costs no timer of its own."""

    silence_s = SILENCE_S
    on_lost: Callable[[], None] | None = None
    """Called when the connection is lost while a request is under way; ``api.hangup`` puts it there."""
    _watch: asyncio.TimerHandle

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._owed = True
        self._in_head = True
        self._head_bytes = 0
        self._heard = self.loop.time()
        self._watch = self.loop.call_later(self.silence_s, self._look)

    def _look(self) -> None:
        if self._owed and self.loop.time() - self._heard >= self.silence_s:
            self._refuse(408, "The rest of the request did not come in time.")
        else:
            self._watch = self.loop.call_later(self.silence_s, self._look)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[CONNECTION] = self
        self._owed = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_bytes > MAX_HEAD and sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            raise ValueError(_TOO_LONG)  # the parser makes it an error of its own: send_400_response
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._owed = False
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self._refuse(431, _TOO_LONG)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def send_400_response(self, msg: str) -> None:
        if not self._in_head and self._owed and self._head_bytes > MAX_HEAD:
            self._refuse(431, _TOO_LONG)
        else:
            self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        body = BadRequest(message).body()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
