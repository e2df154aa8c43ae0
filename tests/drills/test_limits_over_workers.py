"""Limits and a budget before a gateway of several workers: 200 clients at once, and a worker that is killed."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.settings.keys import digest
from optimizer.demo.loopback import loopback_server
from tests.drills.test_recorder_kills import family
from tests.fakes import CONFIG, asked, completion, free_port, loopback_client, read_request

CLIENTS = 200
LIMIT_S = 90
TEAM = "team-0123456789abcdef"
HEADERS = {"authorization": f"Bearer {TEAM}"}
WORKERS = 3


class Model:
    """A model server that takes its time, and notes how many requests it has at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = self.total = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await read_request(reader)
                self.now, self.total = self.now + 1, self.total + 1
                self.most = max(self.most, self.now)
                try:
                    await asyncio.sleep(self.seconds)
                finally:
                    self.now -= 1
                body = completion("4")
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)


@contextlib.asynccontextmanager
async def gateway(folder: Path, upstream: str, limits: str) -> AsyncIterator[tuple[str, Process]]:
    port = free_port()
    text = CONFIG.replace("port = 0", f'port = {port}\nworkers = {WORKERS}\ndata_dir = "{folder}"')
    text = text.replace("http://127.0.0.1:9/v1", upstream)
    text = text.replace('model = "tiny-1b"', 'model = "tiny-1b"\nprice = { input = 100, output = 100 }')
    file = folder / "preceptor.toml"
    file.write_text(f'{text}[keys.team]\nhash = "{digest(TEAM)}"\n{limits}\n', encoding="utf-8")
    log = folder / "log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", "-c", str(file), stdout=DEVNULL, stderr=stderr
        )
    try:
        async with asyncio.timeout(LIMIT_S):
            while serving(log) < WORKERS:
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        await process.wait()


def workers(process: Process) -> list[int]:
    """The process ids of the workers."""
    return [
        child for child in family(process.pid)
        if b"gateway.serving.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]  # fmt: skip


def serving(log: Path) -> int:
    """How many workers have said that they serve."""
    return len(re.findall(rb"worker \d serves", log.read_bytes()))


async def ask(client: httpx.AsyncClient) -> int:
    """A request on a connection of its own, so that the workers share them; its status."""
    try:
        reply = await client.post(
            "/v1/chat/completions", json=asked(max_tokens=5), headers={**HEADERS, "connection": "close"}
        )
    except httpx.HTTPError:
        return 0
    return reply.status_code


async def flood(url: str, rounds: int = 2) -> Counter[int]:
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as client:

        async def one_client() -> list[int]:
            return [await ask(client) for _ in range(rounds)]

        return Counter(
            status for some in await asyncio.gather(*(one_client() for _ in range(CLIENTS))) for status in some
        )


async def metric(url: str, name: str) -> float:
    async with loopback_client(url) as client:
        text = (await client.get("/metrics", headers=HEADERS)).text
    return sum(float(value) for value in re.findall(rf'^{name}{{kind="key",name="team"}} (\S+)$', text, re.MULTILINE))


@pytest.mark.drill
async def test_two_hundred_clients_over_three_workers_never_exceed_a_limit(tmp_path: Path) -> None:
    """Exactly the limit, over all workers; at the end nothing is reserved, and what was served is spent."""
    model = Model(0.05)
    limits = "limits = { requests_per_minute = 90, concurrent = 16 }\nbudget = { usd = 0.5 }"
    async with loopback_server(model.serve) as upstream, gateway(tmp_path, upstream, limits) as (url, _):
        statuses = await flood(url)
        async with loopback_client(url) as client:
            for _ in range(300):
                statuses[await ask(client)] += 1
        await asyncio.sleep(2.5)  # every worker has written its counts
        spent = await metric(url, "preceptor_budget_spent_usd")
        held = [await metric(url, f"preceptor_{name}") for name in ("budget_reserved_usd", "quota_in_flight")]
    assert set(statuses) == {200, 429} and statuses[200] == model.total == 90
    assert model.most <= 16
    assert (round(spent, 6), held) == (0.09, [0.0, 0.0])


@pytest.mark.drill
async def test_a_killed_worker_gives_back_what_it_held(tmp_path: Path) -> None:
    """Its requests under way hold their places until it has started again, and no longer."""
    model = Model(60)
    async with (
        loopback_server(model.serve) as upstream,
        gateway(tmp_path, upstream, "limits = { concurrent = 12 }") as (url, process),
        httpx.AsyncClient(base_url=url, timeout=100, trust_env=False) as client,
    ):
        held = [asyncio.create_task(ask(client)) for _ in range(12)]
        async with asyncio.timeout(LIMIT_S):
            while model.now < 12:
                await asyncio.sleep(0.05)
        assert await ask(client) == 429
        model.seconds = 0.01
        for pid in workers(process):
            os.kill(pid, signal.SIGKILL)
        assert set(await asyncio.gather(*held)) == {0}
        async with asyncio.timeout(LIMIT_S):
            while await ask(client) != 200:
                await asyncio.sleep(0.1)
        statuses = [await ask(client) for _ in range(30)]
    assert set(statuses) == {200}
