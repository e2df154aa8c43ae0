"""The work of the learning process: sweeps and cycles on the gateway's store, over the gateway's upstreams."""

import asyncio
import socket

from gateway.context import Configuration, LearnerContext
from gateway.errors import StoreError
from gateway.settings import Settings
from gateway.store.sql import SqlStore
from optimizer.scheduling.learner import open_learner
from optimizer.scheduling.process.parent_connection import ParentConnection, RelayedUpstream
from optimizer.scheduling.scheduler import scheduled

PACE_S = 0.05
"""Least seconds per answer in a cycle. Few models are faster; beside a faster one, a cycle would keep the gateway busy
with its calls (``tests.bench.gateway.learning``)."""


async def work(end: socket.socket) -> str | None:
    """Learn until the connection ends. Returns the reason if the store cannot be opened."""
    parent = ParentConnection(*await asyncio.open_connection(sock=end))
    listening, beating = asyncio.create_task(parent.listen()), asyncio.create_task(parent.show_life())
    try:
        await parent.ready.wait()
        if parent.settings is None:
            await listening  # it raises the error of the configuration, if there was one
            return None
        store = await asyncio.to_thread(SqlStore.open, parent.settings.server.data_dir, parent.settings.server.store)
        try:
            await _learn(parent.settings, store, parent, listening)
        finally:
            store.close()
    except StoreError as error:
        return f"preceptor: nothing can be learnt: {error}"
    finally:
        listening.cancel()
        beating.cancel()
        await parent.aclose()
    return None


async def _learn(settings: Settings, store: SqlStore, parent: ParentConnection, gone: "asyncio.Task[None]") -> None:
    configuration = _relayed(settings, parent)
    context = LearnerContext(configuration=lambda: configuration, store=store)

    def follow(settings: Settings) -> None:
        nonlocal configuration
        configuration = _relayed(settings, parent)
        for callback in context.on_reload:
            callback()

    parent.configured = follow
    async with open_learner(context, pace_s=PACE_S) as learner, scheduled(context, learner, leads=lambda: True):
        await gone


def _relayed(settings: Settings, parent: ParentConnection) -> Configuration:
    """Return a configuration with the gateway's upstreams behind the connection."""
    upstreams = {name: RelayedUpstream(name, parent) for name in settings.upstreams}
    return Configuration(settings=settings, upstreams=upstreams)
