"""The gateway's end of the line: starts the process that learns, asks models for it, starts again what ended.

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

from gateway.errors import PreceptorError, UpstreamUnreachable
from gateway.services import Services
from gateway.upstream.guarded import Guarded
from optimizer.live.leader import Leader
from optimizer.process.messages import (
    Answered,
    Ask,
    Condition,
    Failed,
    GiveUp,
    ToChild,
    configured,
    frame,
    received,
)

log = logging.getLogger(__name__)

CHILD: Final = (sys.executable, "-m", "optimizer.process.child")
STOP_S = 5.0
"""Seconds that the child gets to end by itself. What it is cut off from is taken up next time."""
LOOK_S = 0.2
"""Seconds between two looks at what the child is to know: the configuration and how busy the upstreams are."""
PAUSES_S = (1.0, 60.0)
"""The first and the longest pause before another child is started. They grow while children do not last."""
_STEADY_S = 60.0
"""A child that lasted so long did not end because of its start."""


@contextlib.asynccontextmanager
async def learning(services: Services, command: Sequence[str] = CHILD) -> AsyncIterator[None]:
    """Somebody learns while the context is open: a child of this process, or whoever else leads on the data folder."""
    keeping = asyncio.create_task(_keep(services, command))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _keep(services: Services, command: Sequence[str]) -> None:
    """One child after the other, while this process leads."""
    leader = Leader(services.settings.server.data_dir)
    pause, longest = PAUSES_S
    try:
        while True:
            if not services.settings.tasks or not await asyncio.to_thread(leader.claim):
                await asyncio.sleep(services.settings.optimizer.sweep_s)
                continue
            began = services.clock()
            how = await _live(services, leader, command)
            if how is None:
                continue
            pause = PAUSES_S[0] if services.clock() - began > _STEADY_S else pause
            log.error(
                "the process that learns ended (%s), another starts in %.0f s", how, pause,
                extra={"action": "learning.ended"},
            )  # fmt: skip
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
    finally:
        leader.release()


async def _live(services: Services, leader: Leader, command: Sequence[str]) -> str | None:
    """One child from its start to its end. Returns how it ended; ``None`` if it was to, because another one leads."""
    try:
        process, ours = await _started(command)
    except OSError as error:
        return str(error)
    reader, writer = await asyncio.open_connection(sock=ours)
    log.info("a process of its own learns", extra={"action": "learning.begins", "pid": process.pid})
    listening = asyncio.create_task(_listen(services, reader, writer))
    others = [asyncio.create_task(_tell(services, writer)), asyncio.create_task(_led(services, leader))]
    try:
        await asyncio.wait([listening, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (listening, *others):
            task.cancel()
        await asyncio.gather(listening, *others, return_exceptions=True)
        writer.close()
        code = await _ended(process)
    if not leader.leads:
        return None
    return f"signal {-code}" if code < 0 else f"exit code {code}"


async def _started(command: Sequence[str]) -> tuple[Process, socket.socket]:
    """A child, and the end of its line that is ours. Raises ``OSError``."""
    ours, its = socket.socketpair()
    with its:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(its.fileno()),
                stdin=DEVNULL,
                pass_fds=[its.fileno()],
            )
        except BaseException:
            ours.close()
            raise
    return process, ours


async def _ended(process: Process) -> int:
    """See to it that the child is gone: its line is cut. Returns its exit code."""
    try:
        return await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()


async def _led(services: Services, leader: Leader) -> None:
    """Return when another process leads."""
    while True:
        await asyncio.sleep(services.settings.optimizer.sweep_s)
        if not await asyncio.to_thread(leader.claim):
            return


async def _tell(services: Services, writer: asyncio.StreamWriter) -> None:
    """Tell the child what changes, for ever."""
    settings, condition = None, None
    while True:
        if services.settings is not settings:
            settings = services.settings
            writer.write(frame(configured(settings)))
        if condition != (condition := _condition(services)):
            writer.write(frame(condition))
        await asyncio.sleep(LOOK_S)


def _condition(services: Services) -> Condition:
    upstreams = services.serving.upstreams
    busy = {name: one.in_flight for name, one in upstreams.items() if isinstance(one, Guarded) and one.in_flight}
    resting = {name: one.ready() for name, one in upstreams.items()}
    return Condition(in_flight=busy, resting={name: why for name, why in resting.items() if why is not None})


async def _listen(services: Services, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask what the child wants to have asked, until it is gone; then nothing that it asked is under way."""
    under_way: dict[int, asyncio.Task[None]] = {}

    async def answer(ask: Ask) -> None:
        try:
            said: ToChild = await _answer(services, ask)
            # How busy the upstreams are comes first: the child must not take its own last call for a caller's.
            writer.write(frame(_condition(services)) + frame(said))
            await writer.drain()
        finally:
            del under_way[ask.id]

    try:
        while (message := await received(reader)) is not None:
            if isinstance(message, Ask):
                under_way[message.id] = asyncio.create_task(answer(message))
            elif isinstance(message, GiveUp) and message.id in under_way:
                under_way[message.id].cancel()
    finally:
        left = list(under_way.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _answer(services: Services, ask: Ask) -> Answered | Failed:
    try:
        upstream = services.serving.upstreams.get(ask.upstream)
        if upstream is None:
            raise UpstreamUnreachable(f"upstream {ask.upstream!r} is not configured any more", sent=False)
        reply = await upstream.send(ask.call)
        try:
            return Answered(id=ask.id, status=reply.status, headers=dict(reply.headers), body=await reply.read())
        finally:
            await reply.aclose()
    except PreceptorError as error:
        return Failed.of(ask.id, error)
    except Exception as error:
        log.exception("a model could not be asked", extra={"action": "learning.bug"})
        return Failed.of(ask.id, PreceptorError(f"internal error: {type(error).__name__}"))
