"""Starts several workers on one address, starts again what ends, and passes signals on. Serves nothing itself.

The first worker starts alone: it prepares the database, and what keeps it from starting would keep the others, too. A
worker that cannot start while none serves ends everything; else it is tried again, with pauses that grow. No worker
shares the listener of another: one that died gets no connections, and one that starts gets them when it is ready.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.http_server.listener import beside, share
from gateway.serving.parameters import WorkerParameters
from gateway.settings import Settings

log = logging.getLogger(__name__)

WORKER: Final = (sys.executable, "-m", "gateway.serving.worker")
_AFTER_DRAIN_S = 10.0
"""What a worker has for its last writes, once its requests are done."""
_STEADY_S = 10.0
"""A worker that served so long did not end because of its start: no pause."""

Told = Callable[[int, int], bytes]
"""What a worker reads from stdin, by its number and the descriptor of its listener."""


class Ended(Value, frozen=True):
    """How a worker's life went."""

    ready: bool
    steady: bool
    how: str


def supervise(
    settings: Settings,
    config: Path | None,
    given: Mapping[str, str | int],
    listener: socket.socket,
    ready: Callable[[], None],
) -> None:
    """Keep ``server.workers`` workers until a signal; call ``ready`` once the first one answers requests.

    Blocks; raises ``PreceptorError`` if they cannot start.
    """
    with _counts_folder(settings.server.data_dir, listener.getsockname()[1]) as folder:

        def told(number: int, descriptor: int) -> bytes:
            parameters = WorkerParameters(
                number=number, parent=os.getpid(), listener=descriptor, counts=str(folder),
                config=None if config is None else str(config), given=dict(given),
            )  # fmt: skip
            return msgspec.json.encode(parameters) + b"\n"

        stop_s = settings.server.drain_s + _AFTER_DRAIN_S
        asyncio.run(Workers(settings.server.workers, listener, told, ready, stop_s=stop_s).run())


@contextlib.contextmanager
def _counts_folder(data_dir: Path, port: int) -> Iterator[Path]:
    """A folder for the counts of this run, as private as the database beside it. Nobody else has the port."""
    folder = data_dir / f"workers-{port}"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise PreceptorError(f"{folder} cannot be made: {error.strerror}; check server.data_dir") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Workers:
    """``count`` processes that run ``command``, with a listener each. Those left ``stop_s`` after a signal are killed.

    ``pauses_s`` are the first and the longest pause before a worker is started again.
    """

    def __init__(
        self,
        count: int,
        listener: socket.socket,
        told: Told,
        ready: Callable[[], None],
        *,
        stop_s: float,
        pauses_s: tuple[float, float] = (0.1, 10.0),
        command: Sequence[str] = WORKER,
    ) -> None:
        self._count, self._told, self._ready, self._command = count, told, ready, command
        self._stop_s, self._pauses_s = stop_s, pauses_s
        share(listener)
        self._first: socket.socket | None = listener
        self._family, self._address = listener.family, listener.getsockname()
        self._running: set[asyncio.subprocess.Process] = set()
        self._serving: set[asyncio.subprocess.Process] = set()
        self._one_is_ready = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; SIGHUP is passed on. Raises ``PreceptorError`` for a bad start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: _send(signal.SIGHUP, self._serving))
        keeping = [asyncio.create_task(self._keep(0))]
        await self._one_is_ready.wait()
        if not self._stopping.is_set():
            self._ready()
            keeping += [asyncio.create_task(self._keep(number)) for number in range(1, self._count)]
        await self._stopping.wait()
        _, late = await asyncio.wait(keeping, timeout=self._stop_s)
        if late:
            log.error("workers did not stop in time and are killed", extra={"action": "workers.killed"})
            _send(signal.SIGKILL, self._running)
            await asyncio.wait(late)
        await asyncio.gather(*keeping)

    def _stop(self, number: int) -> None:
        # First SIGTERM, which ends a worker without a word before it can take signals; a second Ctrl-C ends streams.
        _send(number if self._stopping.is_set() else signal.SIGTERM, self._running)
        self._stopping.set()
        self._one_is_ready.set()

    async def _keep(self, number: int) -> None:
        """One worker after the other under this number."""
        first, longest = self._pauses_s
        pause = first
        try:
            while not self._stopping.is_set():
                ended = await self._live(number)
                if self._stopping.is_set():
                    return
                if not ended.ready and not self._serving:
                    raise PreceptorError(f"worker {number} could not start ({ended.how}): see the log above")
                pause = first if ended.steady else pause
                log.error(
                    "worker %d ended (%s), another starts in %.1f s", number, ended.how, pause,
                    extra={"action": "worker.ended"},
                )  # fmt: skip
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                pause = min(2 * pause, longest)
        finally:
            if not self._stopping.is_set():
                self._stop(signal.SIGTERM)

    async def _live(self, number: int) -> Ended:
        """A worker from its start to its end."""
        began = asyncio.get_running_loop().time()
        try:
            process = await self._started(number)
        except OSError as error:
            return Ended(ready=False, steady=False, how=str(error))
        self._running.add(process)
        if self._stopping.is_set():  # meanwhile
            process.terminate()
        assert process.stdout is not None, "it is a pipe"
        ready = bool(await process.stdout.readline())
        if ready:
            self._serving.add(process)
            self._one_is_ready.set()
            log.info("worker %d serves", number, extra={"action": "worker.serves", "pid": process.pid})
        code = await process.wait()
        self._running.discard(process)
        self._serving.discard(process)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Ended(ready=ready, steady=asyncio.get_running_loop().time() - began > _STEADY_S, how=how)

    async def _started(self, number: int) -> asyncio.subprocess.Process:
        """A process with a listener that it alone holds. Raises ``OSError``."""
        listener, self._first = self._first or beside(self._family, self._address), None
        with listener:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=[listener.fileno()],
                process_group=0,  # a terminal's Ctrl-C is for the supervisor, which passes it on
            )
            assert process.stdin is not None, "it is a pipe"
            process.stdin.write(self._told(number, listener.fileno()))
            process.stdin.close()
        return process


def _send(number: int, processes: Iterable[asyncio.subprocess.Process]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
