"""Gateways as processes, each with a data folder and a port of its own, for drills over one database."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.fakes import CONFIG, free_port, loopback_client

START_S = 600


def config(upstream: str, store: str, *, lame_duck_s: float = 0.0, text: str = CONFIG) -> str:
    """The fakes' configuration, or another one of its kind, with an upstream and a store."""
    server = f'lame_duck_s = {lame_duck_s}\nstore = "{store}"\nport = 0'
    return text.replace("http://127.0.0.1:9/v1", upstream).replace("port = 0", server)


class Host:
    """A gateway that can be started, stopped, killed, and started again."""

    def __init__(self, folder: Path, text: str) -> None:
        """``text`` is the configuration; its ``port = 0`` becomes the host's own, with its data folder."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: Process | None = None
        self._reading: asyncio.Task[tuple[bytes, bytes]] | None = None
        folder.mkdir()
        self._config = folder / "preceptor.toml"
        self._config.write_text(text.replace("port = 0", f'port = {self.port}\ndata_dir = "{folder}"'))

    async def start(self) -> None:
        """Start it; return when it answers."""
        self.process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", "-c", str(self._config), stdin=DEVNULL, stdout=DEVNULL,
            stderr=PIPE, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert process.stderr is not None
        async with asyncio.timeout(START_S):
            while not (line := await process.stderr.readline()).startswith(b"preceptor serves"):
                assert line, "it ended"
        self._reading = asyncio.create_task(process.communicate())  # a full pipe would hold up its log

    async def stop(self) -> None:
        """Ask it to end, and see that it does so in order."""
        assert await self._ended(signal.SIGTERM) == 0

    async def kill(self) -> None:
        await self._ended(signal.SIGKILL)

    async def _ended(self, number: signal.Signals) -> int:
        assert self.process is not None and self._reading is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(START_S):
            await self._reading
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(folder: Path, text: str, count: int) -> AsyncIterator[list[Host]]:
    """Yield so many hosts that answer; they are stopped in the end."""
    hosts = [await asyncio.to_thread(Host, folder / str(number), text) for number in range(count)]
    try:
        await asyncio.gather(*(host.start() for host in hosts))
        yield hosts
    finally:
        started = [host for host in hosts if host.process is not None and host.process.returncode is None]
        await asyncio.gather(*(host.stop() for host in started))


@contextlib.asynccontextmanager
async def clients_of(hosts: list[Host]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Yield a client of each host."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(loopback_client(host.url)) for host in hosts]
