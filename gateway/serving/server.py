"""The application on uvicorn, on a bound socket, until a signal."""

import asyncio
import contextlib
import functools
import gc
import logging
import math
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from gateway import heap
from gateway.app import Application, build_app, build_services, build_serving
from gateway.errors import PreceptorError
from gateway.http_server.connection import HttpProtocol
from gateway.http_server.limits import ConnectionLimits, Cuts
from gateway.plugins import Plugin
from gateway.quotas.cells import Cells
from gateway.reload import Reloader
from gateway.services import Serving
from gateway.serving.file_limit import connection_cap, raise_file_limit
from gateway.settings import Settings
from gateway.store.recorder.outbox import Connect, Outbox
from gateway.store.recorder.parent import own_recorder
from gateway.store.spool import SPOOL
from gateway.store.sql import SqlStore

log = logging.getLogger(__name__)


def serve(
    settings: Settings,
    path: Path,
    read: Callable[[], Settings],
    plugins: Sequence[Plugin],
    listener: socket.socket,
    ready: Callable[[], None],
    connect: Connect | None = None,
    cells: Cells | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; running requests get ``server.drain_s`` to finish. Blocks.

    ``read`` reads the configuration at ``path`` again after every change. ``ready`` is called once requests are
    answered. ``connect`` reaches the recorder; without it, this process starts one. ``cells`` are counts shared with
    other workers. Raises ``PreceptorError`` if the gateway cannot start, ``KeyboardInterrupt`` for a signal before
    that.
    """
    heap.keep_small()
    store = SqlStore.open(settings.server.data_dir)
    try:
        folder = settings.server.data_dir
        outbox = Outbox(connect or functools.partial(own_recorder, folder), spool=folder / SPOOL)
        services = build_services(settings, store, outbox, cells)

        def build(changed: Settings, old: Serving) -> Serving:
            return build_serving(changed, services.telemetry, services.quirks, old)

        app = build_app(services, plugins, Reloader(path, read, services, build))
        cap = connection_cap(settings.server, raise_file_limit())
        log.info("at most %d connections of clients", cap, extra={"action": "server.limits"})
        cuts = Cuts(services.telemetry.connection_cut)
        server = _Server(uvicorn_config(app, settings, cap, cuts), ready)
        connections = server.server_state.connections
        services.telemetry.gauge("preceptor_connections", "Open connections of clients.", lambda: len(connections))
        with (
            # uvicorn raises the signal again after it has stopped.
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner,
        ):
            _tune_memory()
            runner.run(server.serve(sockets=[listener]))
    finally:
        store.close()


class _Server(uvicorn.Server):
    """uvicorn's server with a call when it answers requests; none if a signal came during the start."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with contextlib.suppress(SystemExit):
            await super().startup(sockets)
        if not self.started:
            raise PreceptorError("the gateway could not start: see the log above")
        if not self.should_exit:
            self._ready()


def _tune_memory() -> None:
    """Keep the garbage collector away from imported modules, and run it more rarely.

    At 64 connections a fifth more requests a second, and a p99 of 33 instead of 105 ms (``tests.bench.gateway``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(0.001)  # seconds; threads that read the store yield to the event loop sooner


def uvicorn_config(
    app: Application, settings: Settings, connections: int = 1_000, cuts: Cuts | None = None
) -> uvicorn.Config:
    """Return uvicorn's configuration: uvloop, our protocol, bounded shutdown, no access log on the request path."""
    server = settings.server
    limits = ConnectionLimits(
        silence_s=server.silence_timeout_s,
        head_s=server.head_timeout_s,
        body_s=server.body_timeout_s,
        write_s=server.write_timeout_s,
        kept_s=server.keep_alive_s,
        connections=connections,
    )
    protocol: Any = functools.partial(HttpProtocol, limits=limits, cuts=cuts or Cuts())
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(settings.server.drain_s),
    )
