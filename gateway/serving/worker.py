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
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import click
import msgspec

from gateway import logs
from gateway.api.health import look_at_gauges
from gateway.errors import PreceptorError
from gateway.metrics.worker_counts import Family, WorkerCounts, families
from gateway.plugins import installed
from gateway.services import Services
from gateway.serving.configuration import reader
from gateway.serving.parameters import WorkerParameters
from gateway.serving.server import serve
from gateway.settings import Settings, config_path

_PR_SET_PDEATHSIG = 1
INTERVAL_S = 1.0
"""Time between two writes of the counts."""
_SHARE = 0.005
"""Of the event loop's time that collecting counts may take, at most: with 1,000 tasks it is done every 20 seconds."""


def main() -> None:
    """Serve until a signal. Exits with status 1 if that cannot be; the last line on stderr says why."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is about to be read
    with contextlib.suppress(KeyboardInterrupt):  # before anything serves
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _serve(msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerParameters))


def _serve(parameters: WorkerParameters) -> None:
    os.set_inheritable(parameters.listener, False)  # a child of ours would hold the port while we drain
    _stop_with_parent(parameters.parent)
    announce = os.dup(1)
    os.dup2(2, 1)
    logs.configure()
    config = None if parameters.config is None else Path(parameters.config)
    read = reader(config, parameters.given)

    def ready() -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(announce, b"ready\n")
        os.close(announce)

    try:
        with socket.socket(proto=socket.IPPROTO_TCP, fileno=parameters.listener) as listener:
            counts = CountsPlugin(Path(parameters.counts), parameters.number)
            serve(read(), config_path(config), read, [*installed(), counts], listener, ready)
    except PreceptorError as error:
        click.echo(f"preceptor: worker {parameters.number}: {' '.join(error.message.split())}", err=True)
        sys.exit(1)


def _stop_with_parent(parent: int) -> None:
    """Ask Linux for SIGTERM when the supervisor ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before that
        sys.exit(1)


class CountsPlugin:
    """A plugin that tells the other workers what this one has counted."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number

    def commands(self) -> Sequence[click.Command]:
        return ()

    def mistakes(self, settings: Settings) -> Sequence[str]:
        return ()

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        """Everything is open: what is counted from here on is kept every second, and once more in the end."""
        counts = await asyncio.to_thread(WorkerCounts, self._folder, self._number, time.time)
        services.telemetry.counts = counts
        try:
            async with services.background.running("worker.counts", functools.partial(_kept, services, counts)):
                yield
        finally:
            counts.keep(_counted(services), 0)


async def _kept(services: Services, counts: WorkerCounts) -> None:
    while True:
        began = services.clock()
        counted = _counted(services)
        pause = max(INTERVAL_S, (services.clock() - began) / _SHARE)
        await asyncio.to_thread(counts.keep, counted, 3 * pause)
        await asyncio.sleep(pause)


def _counted(services: Services) -> list[Family]:
    look_at_gauges(services)
    return families(services.telemetry.registry.collect())


if __name__ == "__main__":
    main()
