"""One of several processes that serve on one address: ``python -m gateway.serving.worker``.

Reads its ``WorkerParameters`` as one line of JSON from stdin, and serves as ``preceptor serve`` does on the listener it
inherited. Announces on stdout when it is ready, and writes its counts to a folder that all workers share. When its
supervisor dies, it stops as on SIGTERM: requests get their time to finish, and the port is free at once.
``workers.supervisor`` starts another when it ends.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec
from litestar.types import ASGIApp

from gateway import logs
from gateway.api.health import update_gauges
from gateway.errors import PreceptorError
from gateway.metrics.worker_counts import Family, WorkerCounts, families
from gateway.plugins import installed
from gateway.quotas.cells import shared_cells
from gateway.services import Services
from gateway.serving.configuration import reader
from gateway.serving.parameters import WorkerParameters
from gateway.serving.server import serve
from gateway.settings import Settings, config_path
from gateway.store.recorder.parent import shared_recorder

_PR_SET_PDEATHSIG = 1
INTERVAL_S = 1.0
"""Seconds between two writes of the counts."""
_SHARE = 0.005
"""Largest share of the event loop's time for collecting counts: with 1,000 tasks they are written every 20 s."""


def main() -> None:
    """Serve until a signal. If serving is impossible, exit with status 1 and the reason in the last line on stderr."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is read soon anyway
    with contextlib.suppress(KeyboardInterrupt):  # a signal before anything serves
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _serve(msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerParameters))


def _serve(parameters: WorkerParameters) -> None:
    for descriptor in parameters.listeners:
        os.set_inheritable(descriptor, False)  # a child process would hold the port while this one drains
    _stop_with_parent(parameters.parent)
    announce = os.dup(1)
    os.dup2(2, 1)
    logs.configure()  # until the configuration is read
    config = None if parameters.config is None else Path(parameters.config)
    read = reader(config, parameters.given)

    def ready() -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(announce, b"ready\n")
        os.close(announce)

    try:
        with contextlib.ExitStack() as stack:
            listeners = [
                stack.enter_context(socket.socket(proto=socket.IPPROTO_TCP, fileno=descriptor))
                for descriptor in parameters.listeners
            ]
            folder = Path(parameters.counts)
            counts = CountsPlugin(folder, parameters.number)
            connect = functools.partial(shared_recorder, folder)
            settings = read()
            logs.configure(settings.log.level, settings.log.format)
            cells = shared_cells(folder, parameters.number, settings.server.workers)
            serve(settings, config_path(config), read, [*installed(), counts], listeners, ready, connect, cells)
    except PreceptorError as error:
        click.echo(f"preceptor: worker {parameters.number}: {' '.join(error.message.split())}", err=True)
        sys.exit(1)


def _stop_with_parent(parent: int) -> None:
    """Ask Linux for SIGTERM when the supervisor ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the supervisor ended before the call
        sys.exit(1)


class CountsPlugin:
    """A plugin for sharing this worker's counts with the other workers."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number

    def commands(self) -> Sequence[click.Command]:
        return ()

    def mistakes(self, settings: Settings) -> Sequence[str]:
        return ()

    def mounts(self, services: Services) -> Mapping[str, ASGIApp]:
        return {}

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        """Write the counts every second, and a last time at the end."""
        counts = await asyncio.to_thread(WorkerCounts, self._folder, self._number, time.time)
        services.telemetry.counts = counts
        try:
            async with services.background.running("worker.counts", functools.partial(_keep, services, counts)):
                yield
        finally:
            counts.keep(_collect(services), 0)


async def _keep(services: Services, counts: WorkerCounts) -> None:
    while True:
        began = services.clock()
        collected = _collect(services)
        pause = max(INTERVAL_S, (services.clock() - began) / _SHARE)
        await asyncio.to_thread(counts.keep, collected, 3 * pause)
        await asyncio.sleep(pause)


def _collect(services: Services) -> list[Family]:
    update_gauges(services)
    return families(services.telemetry.registry.collect())


if __name__ == "__main__":
    main()
