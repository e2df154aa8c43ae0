"""The gateway's end of the connection: the state of the upstreams for the child, and the calls made for it."""

import asyncio
import logging
from collections.abc import Callable

from gateway.context import LearnerContext
from gateway.errors import PreceptorError, UpstreamUnreachable
from gateway.upstream.guarded import Guarded
from optimizer.scheduling.process.messages import (
    Answered,
    Ask,
    Failed,
    GiveUp,
    ToChild,
    UpstreamsState,
    configured,
    frame,
    received,
)

log = logging.getLogger(__name__)

LOOK_S = 0.2
"""Seconds between two messages about the configuration and the upstreams."""


async def send_state(context: LearnerContext, writer: asyncio.StreamWriter) -> None:
    """Send the child the configuration and the state of the upstreams, without end."""
    settings = None
    while True:
        if context.settings is not settings:
            settings = context.settings
            writer.write(frame(configured(settings)))
        writer.write(frame(_condition(context)))
        await writer.drain()
        await asyncio.sleep(LOOK_S)


def _condition(context: LearnerContext) -> UpstreamsState:
    upstreams = context.upstreams
    busy = {
        name: upstream.in_flight
        for name, upstream in upstreams.items()
        if isinstance(upstream, Guarded) and upstream.in_flight
    }
    resting = {name: upstream.ready() for name, upstream in upstreams.items()}
    return UpstreamsState(in_flight=busy, resting={name: why for name, why in resting.items() if why is not None})


async def answer_calls(
    context: LearnerContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[], None]
) -> None:
    """Make the calls of the child until it is gone; at the end none of its calls is under way.

    ``heard`` is called with every message of the child.
    """
    under_way: dict[int, asyncio.Task[None]] = {}

    async def call(ask: Ask) -> None:
        reply: ToChild = await _answer(context, ask)
        # The state of the upstreams comes first: the child must not take its own last call for a caller's.
        writer.write(frame(_condition(context)) + frame(reply))
        await writer.drain()

    try:
        while (message := await received(reader)) is not None:
            heard()
            if isinstance(message, Ask):
                task = under_way[message.id] = asyncio.create_task(call(message))
                task.add_done_callback(lambda _, number=message.id: under_way.pop(number))  # type: ignore[misc]
            elif isinstance(message, GiveUp) and message.id in under_way:
                under_way[message.id].cancel()
    finally:
        left = list(under_way.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _answer(context: LearnerContext, ask: Ask) -> Answered | Failed:
    try:
        upstream = context.upstreams.get(ask.upstream)
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
