"""What the process that learns does: sweeps and cycles on the gateway's store, over the gateway's upstreams."""

import asyncio
import socket
import time

from gateway.completion import Completions
from gateway.errors import StoreError
from gateway.routing.classify import Classifier
from gateway.services import Services, Serving
from gateway.settings import Settings
from gateway.store.sql import SqlStore
from gateway.store.writer import Writer
from optimizer.scheduling.learner import open_learner
from optimizer.scheduling.process.parent_connection import ParentConnection, RelayedUpstream
from optimizer.scheduling.scheduler import scheduled

PACE_S = 0.05
"""Seconds that an answer takes a cycle at least. Few models are faster; beside one that is, a cycle would keep the
gateway busy with asking it (``tests.bench.gateway.learning``)."""


async def work(end: socket.socket) -> str | None:
    """Learn until the line is cut. Returns why that cannot be, if the store cannot be opened."""
    line = ParentConnection(*await asyncio.open_connection(sock=end))
    listening = asyncio.create_task(line.listen())
    try:
        await line.begun.wait()
        if line.settings is None:
            await listening  # which says what was wrong with the configuration, if there was one
            return None
        store = await asyncio.to_thread(SqlStore.open, line.settings.server.data_dir)
        try:
            await _learn(line.settings, store, line, listening)
        finally:
            store.close()
    except StoreError as error:
        return f"preceptor: nothing can be learnt: {error}"
    finally:
        listening.cancel()
        await line.aclose()
    return None


async def _learn(settings: Settings, store: SqlStore, line: ParentConnection, gone: "asyncio.Task[None]") -> None:
    services = Services(serving=_serving(settings, line), store=store, writer=Writer(store, spool=None))

    def follow(settings: Settings) -> None:
        services.serving = _serving(settings, line)
        for told in services.on_reload:
            told()

    line.configured = follow
    async with open_learner(services, pace_s=PACE_S) as learner, scheduled(services, learner, leads=lambda: True):
        await gone


def _serving(settings: Settings, line: ParentConnection) -> Serving:
    """The gateway's upstreams under this configuration."""
    upstreams = {name: RelayedUpstream(name, line) for name in settings.upstreams}
    return Serving(
        settings=settings,
        upstreams=upstreams,
        completions=Completions(upstreams, time.monotonic),
        classifier=Classifier(settings.tasks),
    )
