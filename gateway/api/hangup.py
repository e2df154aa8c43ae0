"""Cancellation of a request's work when its client hangs up, also before the first byte.

ASGI reports a closed connection only through ``receive()``, but a handler awaits its upstream; without a watch,
generation runs on and is billed. Our own server calls ``Transaction.on_lost`` instead: a task for ``receive()`` costs a
tenth of a request. On any other server, such a task is made.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast

from litestar.types import HTTPScope, Receive

from gateway.http_server.request_response import TRANSACTION, Transaction


def limit_answer(scope: HTTPScope, seconds: float) -> None:
    """Give a slow client so many seconds from now on to take its answer; then our own server cuts the connection.

    While a client does not read, nothing reads from the upstream, and no time-out of the upstream runs.
    """
    transaction: Transaction | None = cast("Mapping[str, Any]", scope).get(TRANSACTION)
    if transaction is not None:
        transaction.due = asyncio.get_running_loop().time() + seconds


class ClientGone(Exception):
    """The client hung up before the end of its answer."""


class HangUp:
    """Context manager: cancels its body when the client disconnects, then raises ``ClientGone``."""

    __slots__ = ("_body", "_gone", "_receive", "_transaction", "_watch")

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        self._transaction: Transaction | None = cast("Mapping[str, Any]", scope).get(TRANSACTION)
        self._receive = receive
        self._gone = False

    def __enter__(self) -> Self:
        transaction = self._transaction
        task = asyncio.current_task() if transaction is None else transaction.task
        assert task is not None
        self._body = task
        if transaction is None:
            self._watch = asyncio.create_task(self._wait())
        elif transaction.disconnected:
            raise ClientGone
        else:
            transaction.on_lost = self._lost
        return self

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._lost()

    def _lost(self) -> None:
        self._gone = True
        self._body.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._transaction is None:
            self._watch.cancel()
        else:
            self._transaction.on_lost = None
        # A cancellation from elsewhere (shutdown, a time-out around us) passes unchanged. An error raised by the body
        # while a hang-up cancelled it is dropped: no client is left to receive it.
        if self._gone and kind is not None and self._body.uncancel() == 0:
            raise ClientGone from error
