"""A gateway is replaced by another under load, again and again: no client is refused or reset."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from optimizer.demo.loopback import loopback_server
from tests.drills.test_recorder_kills import model
from tests.fakes import CONFIG, asked, free_port, loopback_client

log = logging.getLogger(__name__)

LIMIT_S = 120
CLIENTS = 6
"""Of each kind: those that connect anew for every request, and those that keep their connection."""


class Gateways:
    """The gateways on one port, one after the other."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.port = free_port()
        self._reading: set[asyncio.Task[tuple[bytes, bytes]]] = set()
        self._folder = folder
        self._text = CONFIG.replace("http://127.0.0.1:9/v1", upstream).replace(
            "port = 0", f'port = {self.port}\ndata_dir = "{folder}"'
        )

    async def start(self, workers: int) -> Process:
        """Start another gateway, which takes the port over; return when it answers."""
        config = self._folder / f"preceptor-{workers}.toml"
        await asyncio.to_thread(config.write_text, self._text.replace("port =", f"workers = {workers}\nport =", 1))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", "--take-over", "-c", str(config), stdin=DEVNULL, stdout=DEVNULL,
            stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            while not (line := await process.stderr.readline()).startswith(b"preceptor serves"):
                assert line, "it ended"
        self._reading.add(asyncio.create_task(process.communicate()))  # a full pipe would hold up its log
        return process


async def use(port: int, *, keeps: bool, counts: Counter[str]) -> None:
    """Ask without end; count answers and everything else."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(loopback_client(f"http://127.0.0.1:{port}"))
        headers = {} if keeps else {"connection": "close"}
        while True:
            try:
                reply = await client.post("/v1/chat/completions", json=asked(), headers=headers)
                counts[str(reply.status_code)] += 1
            except httpx.TransportError as error:
                counts[type(error).__name__] += 1
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def under_load(port: int) -> AsyncIterator[Counter[str]]:
    counts: Counter[str] = Counter()
    tasks = [
        asyncio.create_task(use(port, keeps=keeps, counts=counts)) for keeps in (True, False) for _ in range(CLIENTS)
    ]
    try:
        yield counts
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ended(process: Process) -> None:
    """Wait for the end of a gateway, and see that it was in order."""
    async with asyncio.timeout(LIMIT_S):
        assert await process.wait() == 0


@pytest.mark.parametrize("workers", [(1,) * 5, (2,) * 4, (1, 2, 1)], ids=["one process", "two workers", "both"])
async def test_a_restart_refuses_nobody(tmp_path: Path, workers: tuple[int, ...]) -> None:
    """Whether clients keep their connections or not; each old gateway finishes its requests and ends."""
    async with loopback_server(model) as upstream:
        gateways = Gateways(tmp_path, upstream)
        serving = await gateways.start(workers[0])
        async with under_load(gateways.port) as counts:
            for number in workers[1:]:
                before = counts["200"]
                following = await gateways.start(number)
                await ended(serving)
                serving = following
                async with asyncio.timeout(LIMIT_S):
                    while counts["200"] < before + 200:
                        await asyncio.sleep(0.01)
        serving.terminate()
        await ended(serving)
    log.warning("%d restarts with %s workers: %s", len(workers) - 1, workers, dict(counts))
    assert counts.keys() == {"200"}
