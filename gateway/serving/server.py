"""The application on uvicorn, on a bound socket, until a signal."""

import asyncio
import contextlib
import functools
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn

from gateway import heap
from gateway.app import Application, build_app, build_services, build_serving
from gateway.background import Background
from gateway.errors import PreceptorError
from gateway.http_server.connection import HttpProtocol
from gateway.http_server.limits import ConnectionLimits, Cuts
from gateway.http_server.listener import BACKLOG, PortTaken, accept_many, beside
from gateway.plugins import Plugin
from gateway.presence import Presence
from gateway.quotas.cells import Cells
from gateway.reload import Reloader
from gateway.services import Serving
from gateway.serving.file_limit import connection_cap, raise_file_limit
from gateway.serving.handover import offering
from gateway.settings import Settings
from gateway.store.recorder.outbox import Connect, Outbox
from gateway.store.recorder.parent import own_recorder
from gateway.store.spool import SPOOL
from gateway.store.sql import SqlStore

log = logging.getLogger(__name__)

DATABASE_S: Final = 60.0
"""Seconds that a start waits for a database server that is away; then the gateway ends and says why."""
HAND_OVER_S: Final = 2.0
"""Seconds that a gateway serves on after another has taken its address over: its clients are told to connect anew."""


def serve(
    settings: Settings,
    path: Path,
    read: Callable[[], Settings],
    plugins: Sequence[Plugin],
    listeners: Sequence[socket.socket],
    ready: Callable[[], None],
    connect: Connect | None = None,
    cells: Cells | None = None,
    *,
    offers: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; running requests get ``server.drain_s`` to finish. Blocks.

    ``read`` reads the configuration at ``path`` again after every change. ``ready`` is called once requests are
    answered. ``connect`` reaches the recorder; without it, this process starts one. ``cells`` are counts shared with
    other workers. ``offers``: hand the listeners over to another gateway that asks. Raises ``PreceptorError`` if the
    gateway cannot start, ``KeyboardInterrupt`` for a signal before that.
    """
    heap.keep_small()
    store = SqlStore.open(settings.server.data_dir, settings.server.store, wait_s=DATABASE_S)
    try:
        folder = settings.server.data_dir
        outbox = Outbox(connect or functools.partial(own_recorder, folder, settings.server.store), spool=folder / SPOOL)
        services = build_services(settings, store, outbox, cells)

        def build(changed: Settings, old: Serving) -> Serving:
            return build_serving(changed, services.telemetry, services.quirks, old)

        app = build_app(services, plugins, Reloader(path, read, services, build))
        cap = connection_cap(settings.server, raise_file_limit())
        log.info("at most %d connections of clients", cap, extra={"action": "server.limits"})
        cuts = Cuts(services.telemetry.connection_cut)
        config = uvicorn_config(app, settings, cap, cuts, services.presence)
        server = GatewayServer(config, ready, services.presence, settings.server.lame_duck_s)
        connections = server.server_state.connections
        services.telemetry.gauge("preceptor_connections", "Open connections of clients.", lambda: len(connections))
        with (
            # uvicorn raises the signal again after it has stopped.
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner,
        ):
            _tune_memory()
            runner.run(_run(server, services.background, settings, listeners, offers=offers))
    finally:
        store.close()


async def _run(
    server: "GatewayServer",
    background: Background,
    settings: Settings,
    listeners: Sequence[socket.socket],
    *,
    offers: bool,
) -> None:
    """Serve on the listeners, and on one for operators where the configuration wants it."""
    section, family = settings.server, listeners[0].family
    every = list(listeners)
    if section.admin_port is not None:
        every.append(_for_operators(family, section.host, section.admin_port))
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(background.running("heap.follow", heap.follow))
        if offers:
            port = listeners[0].getsockname()[1]
            await stack.enter_async_context(offering(section.data_dir, port, lambda: listeners, server.hand_over))
        await server.serve(sockets=every)


def _for_operators(family: int, host: str, port: int) -> socket.socket:
    """Return a listener on the port for operators, shared with other workers. Raises ``PortTaken``."""
    try:
        listener = beside(family, (host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}; set another server.admin_port") from error
    return listener


class GatewayServer(uvicorn.Server):
    """uvicorn's server with a call when it answers requests; none if a signal came during the start.

    Before it stops it is leaving for a while: it serves on, ``presence`` says so, and connections end with their next
    answer. ``lame_duck_s`` is that time after SIGTERM, if somebody watches.
    """

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], presence: Presence, lame_duck_s: float
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._presence = presence
        self._lame_duck_s = lame_duck_s
        self._ends: float | None = None
        """Time of the stop, once it is leaving."""
        self._accepting = contextlib.ExitStack()

    def hand_over(self) -> None:
        """Leave the address to another gateway: accept no new connection, and finish the open ones."""
        self._accepting.close()
        for server in self.servers:
            server.close()
        self._leave(HAND_OVER_S)

    def _leave(self, seconds: float) -> None:
        self._presence.leaving = True
        self._ends = time.monotonic() + seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave on the first SIGTERM; stop on any other signal."""
        if sig == signal.SIGTERM and self._ends is None and self._lame_duck_s and self._presence.watched:
            self._leave(self._lame_duck_s)
            return
        self._presence.leaving = True
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._ends is not None and time.monotonic() >= self._ends:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._accepting.close()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with contextlib.suppress(ValueError, RuntimeError):  # signals are for the main thread only
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, self.hand_over)
        with contextlib.suppress(SystemExit):
            await super().startup(sockets)
        if not self.started:
            raise PreceptorError("the gateway could not start: see the log above")
        kind: Any = self.config.http_protocol_class
        protocol = functools.partial(
            kind, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        for listener in sockets or ():
            self._accepting.callback(accept_many(listener, protocol))
        if not self.should_exit:
            self._ready()


def _tune_memory() -> None:
    """Collect garbage rarely: 64 connections had a p99 of 33 instead of 105 ms (``tests.bench.gateway``)."""
    heap.collect_rarely()
    sys.setswitchinterval(0.001)  # seconds; threads that read the store yield to the event loop sooner


def uvicorn_config(
    app: Application,
    settings: Settings,
    connections: int = 1_000,
    cuts: Cuts | None = None,
    presence: Presence | None = None,
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
    protocol: Any = functools.partial(HttpProtocol, limits=limits, cuts=cuts or Cuts(), presence=presence or Presence())
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
