"""Starts the process that learns, and another one when it ends.

Only where this process leads (``live.leader``) and has a task. Nothing that happens here or there reaches a request.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.services import Services
from optimizer.scheduling.leader import Leader
from optimizer.scheduling.process.messages import cut
from optimizer.scheduling.process.relay import answer, tell

log = logging.getLogger(__name__)

CHILD: Final = (sys.executable, "-m", "optimizer.scheduling.process.child")
STOP_S = 5.0
"""Seconds that the child gets to end by itself. What it is cut off from is taken up next time."""
PAUSES_S = (1.0, 60.0)
"""The first and the longest pause before another child is started. They grow while children do not last."""
_STEADY_S = 60.0
"""A child that lasted so long did not end because of its start."""


@contextlib.asynccontextmanager
async def learning(
    services: Services,
    *,
    command: Sequence[str] = CHILD,
    pauses_s: tuple[float, float] = PAUSES_S,
    stop_s: float = STOP_S,
) -> AsyncIterator[None]:
    """Somebody learns while the context is open: a child of this process, or whoever else leads on the data folder."""
    children = _Children(services, command, pauses_s, stop_s)
    services.telemetry.gauge(
        "preceptor_learning", "Processes that learn: 1, on whichever gateway leads.", lambda: children.alive
    )
    keeping = asyncio.create_task(children.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


class _Children:
    """One child after the other, while this process leads."""

    def __init__(
        self, services: Services, command: Sequence[str], pauses_s: tuple[float, float], stop_s: float
    ) -> None:
        self._services, self._command = services, command
        self._pauses_s, self._stop_s = pauses_s, stop_s
        self._leader = Leader(services.settings.server.data_dir)
        self.alive = 0

    async def keep(self) -> None:
        """For ever."""
        services = self._services
        first, longest = self._pauses_s
        pause = first
        try:
            while True:
                if not services.settings.tasks or not await asyncio.to_thread(self._leader.claim):
                    await asyncio.sleep(services.settings.optimizer.sweep_s)
                    continue
                began = services.clock()
                try:
                    how = await self._live()
                except Exception as error:
                    log.exception("a process that learns could not be kept", extra={"action": "learning.bug"})
                    how = str(error)
                if not self._leader.leads:
                    continue
                pause = first if services.clock() - began > _STEADY_S else pause
                log.error(
                    "the process that learns ended (%s), another starts in %g s", how, pause,
                    extra={"action": "learning.ended"},
                )  # fmt: skip
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
        finally:
            self._leader.release()

    async def _live(self) -> str:
        """One child from its start to its end. Returns how it ended."""
        async with contextlib.AsyncExitStack() as stack:
            ours, its = map(stack.enter_context, socket.socketpair())
            reader, writer = await asyncio.open_connection(sock=ours)
            stack.push_async_callback(cut, writer)
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command, str(its.fileno()), stdin=DEVNULL, pass_fds=[its.fileno()]
                )
            except OSError as error:
                return str(error)
            its.close()  # it is the child's alone, and we hear it end
            try:
                log.info("a process of its own learns", extra={"action": "learning.begins", "pid": process.pid})
                self.alive = 1
                await self._until_it_ends(reader, writer)
            finally:
                self.alive = 0
                await cut(writer)
                code = await _ended(process, self._stop_s)
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def _until_it_ends(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Work for a child until it hangs up or another process leads."""
        until = [answer(self._services, reader, writer), tell(self._services, writer), self._led()]
        tasks = [asyncio.create_task(one) for one in until]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for error in filter(None, [task.exception() for task in done]):
                log.error("a child cannot be served", exc_info=error, extra={"action": "learning.bug"})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _led(self) -> None:
        """Return when another process leads."""
        while await asyncio.to_thread(self._leader.claim):  # noqa: ASYNC110 - a file lock tells nobody
            await asyncio.sleep(self._services.settings.optimizer.sweep_s)


async def _ended(process: Process, stop_s: float) -> int:
    """See to it that the child is gone: its line is cut. Returns its exit code."""
    try:
        return await asyncio.wait_for(process.wait(), stop_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        code = await process.wait()
        if not isinstance(error, TimeoutError):
            raise
        return code
