"""The supervisor of several workers on one address: starts them, restarts them, passes signals on. Serves nothing.

The first worker starts alone: it prepares the database, and its failure would be the failure of all. If it cannot
start, the supervisor gives up; once one has served, it tries again for ever, with growing pauses. Every worker has a
listener of its own: a dead worker gets no connections, and a new worker gets connections only when it is ready.
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

from gateway.child_process import manner
from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.http_server.listener import beside, share
from gateway.serving.handover import offering
from gateway.serving.parameters import WorkerParameters
from gateway.settings import Settings
from gateway.store.recorder.parent import recorder_for_workers

log = logging.getLogger(__name__)

WORKER: Final = (sys.executable, "-P", "-m", "gateway.serving.worker")
_AFTER_DRAIN_S = 10.0
"""Seconds that a worker gets for its last writes after its requests have ended."""
_STEADY_S = 10.0
"""Seconds of service after which a restart begins with the shortest pause again."""

MakeInput = Callable[[int, Sequence[int]], bytes]
"""Return a worker's input on stdin for its number and the descriptors of its listeners."""


class Ended(Value, frozen=True):
    """The end of a worker."""

    ready: bool
    steady: bool
    how: str


def supervise(
    settings: Settings,
    config: Path | None,
    given: Mapping[str, str | int],
    listeners: Sequence[socket.socket],
    ready: Callable[[], None],
) -> None:
    """Keep ``server.workers`` workers running until a signal; call ``ready`` once the first answers requests.

    Blocks; raises ``PreceptorError`` if they cannot start.
    """
    port = listeners[0].getsockname()[1]
    with _counts_folder(settings.server.data_dir, port) as folder:

        def make_input(number: int, descriptors: Sequence[int]) -> bytes:
            parameters = WorkerParameters(
                number=number, parent=os.getpid(), listeners=tuple(descriptors), counts=str(folder),
                config=None if config is None else str(config), given=dict(given),
            )  # fmt: skip
            return msgspec.json.encode(parameters) + b"\n"

        stop_s = settings.server.lame_duck_s + settings.server.drain_s + _AFTER_DRAIN_S

        async def work() -> None:
            data_dir = settings.server.data_dir
            workers = Workers(settings.server.workers, listeners, make_input, ready, stop_s=stop_s)
            async with (
                recorder_for_workers(data_dir, folder, settings.server.store),
                offering(data_dir, port, lambda: workers.listeners, workers.hand_over),
            ):
                await workers.run()

        asyncio.run(work())


@contextlib.contextmanager
def _counts_folder(data_dir: Path, port: int) -> Iterator[Path]:
    """Make a folder for the counts of this run, as private as the database.

    Its name holds the process id: a gateway that hands the port over still has a folder of its own.
    """
    folder = data_dir / f"workers-{port}-{os.getpid()}"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in [*data_dir.glob(f"workers-{port}"), *data_dir.glob(f"workers-{port}-*")]:
            if left == folder or not _lives(left.name.rpartition("-")[2]):
                shutil.rmtree(left, ignore_errors=True)  # left over from a killed run
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise PreceptorError(f"{folder} cannot be made: {error.strerror}; check server.data_dir") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


class Workers:
    """``count`` processes of ``command``, each with a listener of its own; the first ones get those given.

    ``stop_s`` seconds after a signal, those still alive are killed. ``pauses_s`` are the first and the longest pause
    before a worker is started again.
    """

    def __init__(
        self,
        count: int,
        listeners: Sequence[socket.socket],
        make_input: MakeInput,
        ready: Callable[[], None],
        *,
        stop_s: float,
        pauses_s: tuple[float, float] = (0.1, 10.0),
        command: Sequence[str] = WORKER,
    ) -> None:
        self._count, self._make_input, self._ready, self._command = count, make_input, ready, command
        self._stop_s, self._pauses_s = stop_s, pauses_s
        for listener in listeners:
            share(listener)
        self._family, self._address = listeners[0].family, listeners[0].getsockname()
        self._open = {number: list(listeners[number::count]) for number in range(count)}
        """The listeners of each worker, kept here as well, so that another gateway can inherit them."""
        self._running: set[asyncio.subprocess.Process] = set()
        self._serving: set[asyncio.subprocess.Process] = set()
        self._first_is_ready = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def listeners(self) -> list[socket.socket]:
        """The listeners of all workers; none any more once they stop."""
        return [listener for own in self._open.values() for listener in own]

    def hand_over(self) -> None:
        """Leave the address to another gateway: the workers finish their requests and end."""
        _send(signal.SIGUSR2, self._serving)
        self._end(signal.SIGTERM, self._running - self._serving)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; pass SIGHUP on. Raises ``PreceptorError`` if no worker can start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: _send(signal.SIGHUP, self._serving))
        keeping = [asyncio.create_task(self._keep(0))]
        await self._first_is_ready.wait()
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
        # SIGTERM first: it also ends a worker that does not handle signals yet. A second Ctrl-C ends open streams.
        self._end(number if self._stopping.is_set() else signal.SIGTERM, self._running)

    def _end(self, number: int, processes: Iterable[asyncio.subprocess.Process]) -> None:
        _send(number, processes)
        for worker in self._open:
            self._close(worker)  # else clients would wait in a queue that nobody serves
        self._stopping.set()
        self._first_is_ready.set()

    def _close(self, number: int) -> None:
        """Close the listeners of a worker, which may have copies."""
        for listener in self._open[number]:
            listener.close()
        self._open[number] = []

    async def _keep(self, number: int) -> None:
        """Run the worker with this number; start another whenever it ends."""
        first, longest = self._pauses_s
        pause = first
        try:
            while not self._stopping.is_set():
                ended = await self._live(number)
                if self._stopping.is_set():
                    return
                if not ended.ready and not self._first_is_ready.is_set():
                    raise PreceptorError(f"worker {number} could not start ({ended.how}): see the log above")
                pause = first if ended.steady else pause
                log.error(
                    "worker %d ended (%s), another starts in %.1f s", number, ended.how, pause,
                    extra={"action": "worker.ended"},
                )  # fmt: skip
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                pause = min(2 * pause, longest)
        finally:
            if not self._stopping.is_set():
                self._stop(signal.SIGTERM)

    async def _live(self, number: int) -> Ended:
        """Run a worker from its start to its end."""
        began = asyncio.get_running_loop().time()
        try:
            process = await self._started(number)
        except OSError as error:
            return Ended(ready=False, steady=False, how=str(error))
        self._running.add(process)
        if self._stopping.is_set():  # a signal came while it started
            process.terminate()
        assert process.stdout is not None, "it is a pipe"
        ready = bool(await process.stdout.readline())
        if ready:
            self._serving.add(process)
            self._first_is_ready.set()
            log.info("worker %d serves", number, extra={"action": "worker.serves", "pid": process.pid})
        code = await process.wait()
        self._running.discard(process)
        self._serving.discard(process)
        self._close(number)
        steady = asyncio.get_running_loop().time() - began > _STEADY_S
        return Ended(ready=ready, steady=steady, how=manner(code))

    async def _started(self, number: int) -> asyncio.subprocess.Process:
        """Start a process with a listener of its own. Raises ``OSError``."""
        own = self._open[number]
        if not own:
            own.append(beside(self._family, self._address))
        descriptors = [listener.fileno() for listener in own]
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=descriptors,
            process_group=0,  # Ctrl-C reaches the supervisor only; it passes the signal on
        )
        assert process.stdin is not None, "it is a pipe"
        process.stdin.write(self._make_input(number, descriptors))
        process.stdin.close()
        return process


def _send(number: int, processes: Iterable[asyncio.subprocess.Process]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
