"""Starts the learning process, kills it when it hangs, and starts another after its end.

Only while this process leads (``scheduling.leader``) and has a task. No event here or there reaches a request.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.child_process import ended, manner
from gateway.context import LearnerContext
from gateway.framing import cut
from gateway.settings import child_environment
from optimizer.scheduling.leader import Leader
from optimizer.scheduling.process.pulse import Pulse
from optimizer.scheduling.process.relay import answer_calls, send_state

log = logging.getLogger(__name__)

CHILD: Final = (sys.executable, "-P", "-m", "optimizer.scheduling.process.child")
"""Without the working directory on its path (``-P``): a folder there must not be run instead of this package."""
STOP_S = 5.0
"""Seconds for a child at work to end by itself. The next child resumes interrupted work."""
PAUSES_S = (1.0, 60.0)
"""The first and the longest pause before another child starts. They grow while children do not last."""
_STEADY_S = 60.0
"""Seconds after which the end of a child is not blamed on its start."""


@contextlib.asynccontextmanager
async def learning(
    context: LearnerContext,
    *,
    command: Sequence[str] = CHILD,
    pauses_s: tuple[float, float] = PAUSES_S,
    stop_s: float = STOP_S,
) -> AsyncIterator[None]:
    """Keep a learning process while the context is open, here or under whichever process leads on the data folder."""
    children = _Children(context, command, pauses_s, stop_s)
    context.gauge(
        "preceptor_learning", "Processes that learn: 1 on the leading gateway; 0 where it hangs or is gone.",
        lambda: children.alive,
    )  # fmt: skip
    context.gauge(
        "preceptor_learning_hangs", "Learning processes that hung and were killed, since the gateway's start.",
        lambda: children.hangs,
    )  # fmt: skip
    async with context.background.running("learning", children.keep, pauses_s=pauses_s):
        yield


class _Children:
    """A child at a time, while this process leads."""

    def __init__(
        self, context: LearnerContext, command: Sequence[str], pauses_s: tuple[float, float], stop_s: float
    ) -> None:
        self._context, self._command = context, command
        self._pauses_s, self._stop_s = pauses_s, stop_s
        self._leader = Leader(context.settings.server.data_dir, context.settings.server.store)
        self.alive = 0
        self.hangs = 0

    async def keep(self) -> None:
        """Start a child after the other, without end."""
        context = self._context
        first, longest = self._pauses_s
        pause = first
        try:
            while True:
                if not context.settings.tasks or not await asyncio.to_thread(self._leader.claim):
                    await asyncio.sleep(context.settings.optimizer.sweep_s)
                    continue
                began = context.clock()
                how = await self._live()
                if not self._leader.leads:
                    continue
                pause = first if context.clock() - began > _STEADY_S else pause
                log.error(
                    "the process that learns ended (%s), another starts in %g s", how, pause,
                    extra={"action": "learning.ended"},
                )  # fmt: skip
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
        finally:
            self._leader.release()

    async def _live(self) -> str:
        """Keep a child from its start to its end. Returns the manner of its end."""
        async with contextlib.AsyncExitStack() as stack:
            ours, its = map(stack.enter_context, socket.socketpair())
            reader, writer = await asyncio.open_connection(sock=ours)
            stack.push_async_callback(cut, writer)
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command, str(its.fileno()), stdin=DEVNULL, pass_fds=[its.fileno()],
                    env=child_environment(),
                )  # fmt: skip
            except OSError as error:
                return str(error)
            its.close()  # it is the child's alone: its end is seen here
            hung, pulse = False, Pulse(self._context.settings.optimizer.hang_s)
            try:
                log.info("a process of its own learns", extra={"action": "learning.begins", "pid": process.pid})
                self.alive = 1
                hung = await self._until_it_ends(reader, writer, pulse)
            except asyncio.CancelledError:
                if not pulse.begun:  # nothing is under way in it, and on a busy machine its start takes seconds
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                raise
            finally:
                self.alive = 0
                self.hangs += hung
                await cut(writer)
                code = await ended(process, 0.0 if hung else self._stop_s)
        if hung:
            return f"it hung: no sign of life for {self._context.settings.optimizer.hang_s:g} s; killed"
        return manner(code)

    async def _until_it_ends(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pulse: Pulse) -> bool:
        """Work for a child until it is gone, hangs, or another process leads. Returns true if it hangs."""
        hanging = asyncio.create_task(pulse.stopped())
        tasks = [
            hanging,
            asyncio.create_task(answer_calls(self._context, reader, writer, pulse.beat)),
            asyncio.create_task(send_state(self._context, writer)),
            asyncio.create_task(self._led()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for error in filter(None, [task.exception() for task in done]):
                log.error("a child cannot be served", exc_info=error, extra={"action": "learning.bug"})
            return done == {hanging}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _led(self) -> None:
        """Return when another process leads."""
        while await asyncio.to_thread(self._leader.claim):  # noqa: ASYNC110 - a file lock sends no event
            await asyncio.sleep(self._context.settings.optimizer.sweep_s)
