"""Recorder, gateway and learner are killed at random moments under load: nothing that was acknowledged is lost."""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.fakes import CONFIG, asked, completion, free_port, loopback_client, read_request

log = logging.getLogger(__name__)

CLIENTS = 8
PAUSE_S = (0.05, 0.8)
"""Between two kills."""
LIMIT_S = 60
SEED = 17
PARTS = {"recorder": b"gateway.store.recorder.child", "learner": b"optimizer.scheduling.process.child"}


async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A model server that answers at once."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            await read_request(reader)
            body = completion("4")
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)


def family(pid: int) -> Iterator[int]:
    """The processes that a process has started, and theirs."""
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                yield child
                yield from family(child)


def part(pid: int, name: str) -> int | None:
    """A part of a gateway, by its process id; ``None`` while there is none."""
    for child in family(pid):
        with contextlib.suppress(OSError):
            if PARTS[name] in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return None


def connection(response: httpx.Response) -> object:
    """The connection on which a response came."""
    stream: object = response.extensions["network_stream"]
    return stream


class Town:
    """A gateway that is started again whenever it is gone, and clients that note what it has acknowledged."""

    def __init__(self, folder: Path, upstream: str, workers: int) -> None:
        self.port = free_port()
        self.served = 0
        """The number of replies."""
        self.judged: set[str] = set()
        """The replies on which feedback was acknowledged."""
        self.promised: set[str] = set()
        """The replies that have to be stored: feedback is stored behind everything that its gateway served before."""
        self.kills: Counter[str] = Counter()
        self._open: defaultdict[object, list[str]] = defaultdict(list)
        """The replies of each connection since its last acknowledged feedback. A killed gateway may lose them."""
        self._alive: set[object] = set()
        """The connections on which feedback was acknowledged since a gateway was last killed."""
        text = CONFIG.replace("http://127.0.0.1:9/v1", upstream).replace("enabled = false", "sweep_s = 0.2")
        text = text.replace("port = 0", f'port = {self.port}\nworkers = {workers}\ndata_dir = "{folder}"')
        self._config = folder / "preceptor.toml"
        self._config.write_text(text)
        self._log = folder / "log"
        self.process: Process | None = None

    async def keep(self) -> None:
        """Start the gateway after each of its ends."""
        with self._log.open("ab") as log:
            while True:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "gateway", "serve", "-c", str(self._config), stdin=DEVNULL, stdout=DEVNULL,
                    stderr=log, cwd=Path(__file__).parents[2],
                )  # fmt: skip
                await self.process.wait()

    async def use(self, client: httpx.AsyncClient) -> None:
        """Ask and judge, without end."""
        while True:
            try:
                reply = await client.post("/v1/chat/completions", json=asked())
                if reply.status_code != 200:
                    continue
                id_ = reply.json()["id"]
                self.served += 1
                self._open[connection(reply)].append(id_)
                judged = await client.post("/v1/feedback", json={"id": id_, "correct": True})
                if judged.status_code == 200:
                    self.judged.add(id_)
                    self.promised.update(self._open.pop(connection(judged), ()))
                    self._alive.add(connection(judged))
            except (httpx.TransportError, ValueError):
                await asyncio.sleep(0.02)

    async def grow(self, count: int = 20) -> None:
        """Wait until further exchanges were acknowledged."""
        target = len(self.judged) + count
        async with asyncio.timeout(LIMIT_S):
            while len(self.judged) < target:
                await asyncio.sleep(0.02)

    def kill(self, name: str) -> None:
        """Kill a part, if it is there."""
        assert self.process is not None
        pid = self.process.pid if name == "gateway" else part(self.process.pid, name)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self._note(name)

    def _note(self, name: str) -> None:
        self.kills[name] += 1
        if name in {"gateway", "worker"}:
            self._alive.clear()

    def kill_a_worker(self) -> None:
        """Kill a worker of a supervisor: it serves, and is no recorder."""
        assert self.process is not None
        for pid in family(self.process.pid):
            if b"gateway.serving.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                self._note("worker")
                return

    async def stop(self) -> None:
        """Stop the gateway in order: it stores what its connections still had open."""
        self.promised.update(id_ for alive in self._alive for id_ in self._open[alive])
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        async with asyncio.timeout(LIMIT_S):
            assert await self.process.wait() == 0


@contextlib.asynccontextmanager
async def town(folder: Path, workers: int) -> AsyncIterator[Town]:
    async with loopback_server(model) as upstream, contextlib.AsyncExitStack() as stack:
        made = Town(folder, upstream, workers)
        tasks = [asyncio.create_task(made.keep())]
        for _ in range(CLIENTS):
            client = await stack.enter_async_context(loopback_client(f"http://127.0.0.1:{made.port}"))
            tasks.append(asyncio.create_task(made.use(client)))
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await made.stop()


@pytest.mark.parametrize(("workers", "kills"), [(1, 50), (2, 20)], ids=["one process", "two workers"])
async def test_a_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, workers: int, kills: int) -> None:
    """Every acknowledged judgement is stored, with its reply and all replies before it."""
    moments = random.Random(SEED)
    async with town(tmp_path, workers) as made:
        await made.grow()
        while made.kills.total() < kills:
            await asyncio.sleep(moments.uniform(*PAUSE_S))
            name = moments.choice(("recorder", "recorder", "gateway", "learner"))
            made.kill_a_worker() if workers > 1 and name == "gateway" else made.kill(name)
            if moments.random() < 0.5:
                await made.grow()
        await made.grow()
    with contextlib.closing(SqlStore.open(tmp_path)) as store:
        lost = {id_ for id_ in made.promised if store.exchange(id_) is None}
        judged = {graded.exchange.id for graded in store.graded("arithmetic", limit=10**6)}
    with contextlib.closing(sqlite3.connect(tmp_path / "preceptor.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    counted = (dict(made.kills), made.served, len(made.promised), len(made.judged))
    log.warning("kills: %s; %d replies, %d of them promised, %d judged", *counted)
    assert made.judged <= judged
    assert lost == set()
    assert min(made.kills.values()) > 0
