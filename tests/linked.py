"""Both ends of the line between a gateway and the process that learns for it, in one event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from gateway.framing import cut
from gateway.services import Services
from optimizer.scheduling.process.parent_connection import ParentConnection
from optimizer.scheduling.process.relay import answer_calls, send_state


class Linked:
    """A line, and the tasks at its ends."""

    def __init__(self, line: ParentConnection, writer: asyncio.StreamWriter, answering: "asyncio.Task[None]") -> None:
        self.line = line
        self.answering = answering
        """Ends when the child's end is closed."""
        self._writer = writer

    def cut(self) -> None:
        """The gateway is gone."""
        self._writer.close()


@contextlib.asynccontextmanager
async def linked(services: Services) -> AsyncIterator[Linked]:
    """A gateway's services and a child's line, begun."""
    ours, its = socket.socketpair()
    context = services.learner_context()
    reader, writer = await asyncio.open_connection(sock=ours)
    line = ParentConnection(*await asyncio.open_connection(sock=its))
    answering = asyncio.create_task(answer_calls(context, reader, writer, lambda: None))
    tasks = [answering, asyncio.create_task(send_state(context, writer)), asyncio.create_task(line.listen())]
    try:
        await line.ready.wait()
        yield Linked(line, writer, answering)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await line.aclose()
        await cut(writer)
