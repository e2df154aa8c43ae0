"""Runs the application on uvicorn, on a socket that is bound already; serves until a signal."""

import asyncio
import contextlib
import gc
import math
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from gateway.app import Application, build_app, build_services, build_serving
from gateway.errors import PreceptorError
from gateway.plugins import Plugin
from gateway.protocol import BoundedProtocol
from gateway.reload import Reloader
from gateway.services import Serving
from gateway.settings import Settings
from gateway.store.sql import SqlStore


def serve(
    settings: Settings,
    path: Path,
    read: Callable[[], Settings],
    plugins: Sequence[Plugin],
    listener: socket.socket,
) -> None:
    """Serve until SIGINT or SIGTERM; running requests get ``server.drain_s`` to finish. Blocks.

    ``read`` reads the configuration at ``path`` again, whenever it changes.
    """
    store = SqlStore.open(settings.server.data_dir)
    try:
        services = build_services(settings, store)

        def build(changed: Settings, old: Serving) -> Serving:
            return build_serving(changed, services.telemetry, old)

        app = build_app(services, plugins, Reloader(path, read, services, build))
        server = uvicorn.Server(uvicorn_config(app, settings))
        with (
            # uvicorn raises the signal that stopped it once more when it is done.
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner,
        ):
            _settle()
            runner.run(server.serve(sockets=[listener]))
        if not server.started:
            raise PreceptorError("the gateway could not start: see the log above")
    finally:
        store.close()


def _settle() -> None:
    """Memory as a server needs it. What was imported stays for ever and need not be looked at again and again.

    At 64 connections a fifth more requests a second, and a p99 of 33 instead of 105 ms (``tests.bench.gateway``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(0.001)  # seconds; the store's writer gives way to the event loop sooner


def uvicorn_config(app: Application, settings: Settings) -> uvicorn.Config:
    """uvicorn as the gateway runs it: uvloop, httptools, bounded shutdown, no access log on the request path."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(settings.server.drain_s),
    )
