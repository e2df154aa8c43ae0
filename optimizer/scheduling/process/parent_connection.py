"""The child's end of the connection: the gateway's upstreams, as if they were here."""

import asyncio
import itertools
from collections.abc import Callable

from gateway.errors import UpstreamBroken
from gateway.framing import cut
from gateway.settings import Settings
from gateway.upstream.base import BufferedReply, Call, UpstreamReply
from optimizer.scheduling.process.messages import (
    Alive,
    Answered,
    Ask,
    Configured,
    Failed,
    GiveUp,
    ToChild,
    ToParent,
    UpstreamsState,
    frame,
    received,
    settings_in,
)
from optimizer.scheduling.process.pulse import BEAT_S


class ParentConnection:
    """Calls under way over a socket, and the gateway's messages. For one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.condition = UpstreamsState()
        self.settings: Settings | None = None
        """The newest configuration."""
        self.configured: Callable[[Settings], None] = lambda settings: None
        """Called with every new configuration."""
        self.ready = asyncio.Event()
        """Set by the first configuration, and if the gateway is gone."""
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Answered | Failed]] = {}

    async def listen(self) -> None:
        """Take messages until the gateway is gone."""
        try:
            while (message := await received(self._reader)) is not None:
                self._take(message)
        finally:
            self.ready.set()
            for number, waiting in self._waiting.items():
                if not waiting.done():
                    waiting.set_result(Failed.of(number, UpstreamBroken("the gateway is gone")))

    def _take(self, message: ToChild | ToParent) -> None:
        if isinstance(message, Answered | Failed):
            waiting = self._waiting.get(message.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif isinstance(message, UpstreamsState):
            self.condition = message
        elif isinstance(message, Configured):
            self.settings = settings_in(message)
            self.configured(self.settings)
            self.ready.set()

    async def show_life(self) -> None:
        """Tell the gateway, without end, that this event loop turns."""
        while True:
            self._send(Alive())
            await asyncio.sleep(BEAT_S)

    async def ask(self, upstream: str, call: Call) -> UpstreamReply:
        """Return the whole reply. Raises the error of the gateway's upstream."""
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send(Ask(id=number, upstream=upstream, call=call))
        try:
            answer = await waiting
        except asyncio.CancelledError:
            self._send(GiveUp(id=number))
            raise
        finally:
            del self._waiting[number]
        if isinstance(answer, Failed):
            raise answer.error()
        return BufferedReply(answer.body, status=answer.status, headers=answer.headers)

    async def aclose(self) -> None:
        """End the connection."""
        await cut(self._writer)

    def _send(self, message: ToParent) -> None:
        self._writer.write(frame(message))


class RelayedUpstream:
    """An upstream of the gateway. Implements ``upstream.base.Upstream``."""

    def __init__(self, name: str, line: ParentConnection) -> None:
        self._name, self._line = name, line

    @property
    def in_flight(self) -> int:
        """Calls under way in the gateway a moment ago, its callers' included."""
        return self._line.condition.in_flight.get(self._name, 0)

    async def open(self) -> None:
        """Do nothing: the gateway opened it."""

    async def send(self, call: Call) -> UpstreamReply:
        return await self._line.ask(self._name, call)

    def ready(self) -> str | None:
        return self._line.condition.resting.get(self._name)

    async def aclose(self) -> None:
        """Do nothing: the gateway closes it."""
