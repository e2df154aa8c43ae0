"""Mixed abuse beside honest traffic: ``python -m tests.bench.gateway.abuse [MINUTES]``, 30 unless given.

A gateway with two workers and its learner, in front of a model that answers one request in ten with garbage. Beside one
honest client: slow readers, dripping heads and bodies, hang-ups, 20 MB of small JSON, a reload every 10 s, and every
15 s a SIGKILL or a SIGSTOP of 3 s for a worker, the recorder or the learner. Prints tables of the honest client's
times, of memory (start, peak, end, growth over the last half) and of descriptors, and counts acknowledged feedback that
is not in the database afterwards. Nothing is asserted.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.bench.gateway import bystander
from tests.fakes import completion, events, read_request

CONFIG = f"""{bystander.GATEWAY}
[models.large]
upstream = "mock"
model = "huge"
[tasks.sums]
weak = "small"
strong = "large"
grader = {{{{ kind = "numeric" }}}}
[optimizer]
schedule = "* * * * *"
"""
GARBAGE = (
    b"",
    b"HTTP/1.1 200 OK\r\n",
    b"\x00" * 100,
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 999 ?\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)
ASKED = {"model": "task:sums", "messages": [{"role": "user", "content": "2 + 2?"}]}


class Look(NamedTuple):
    """One look at the processes."""

    at: float
    each: tuple[tuple[str, float], ...]
    """Role and number of a process, and its megabytes."""
    descriptors: int

    def megabytes(self, role: str = "") -> float:
        """Of all processes in a role, or of all."""
        return sum(memory for process, memory in self.each if process.startswith(role))


async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers; one request in ten gets garbage, unless it is the honest client's."""
    while True:
        _, _, body = await read_request(reader)
        if b"honest" not in body and random.random() < 0.1:
            writer.write(random.choice(GARBAGE))
            return
        if b'"stream":true' in body.replace(b" ", b""):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            event = events(["x" * 10_000])[1]
            while True:
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await writer.drain()
        reply = completion("5")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))


async def hang_ups(port: int) -> None:
    """Requests whose client is gone before, in or after the answer."""
    for pause in itertools.cycle((0.0, 0.001, 0.05)):
        with contextlib.suppress(OSError):
            async with bystander.connected(port) as (_, writer):
                writer.write(bystander.post(json.dumps({**ASKED, "stream": pause > 0.01}).encode()))
                await asyncio.sleep(pause)
        await asyncio.sleep(0.05)


async def many_values(port: int) -> None:
    """20 MB of small JSON, one after the other."""
    body = bystander.post(("{" + ",".join(f'"k{number}":1' for number in range(1_500_000)) + "}").encode())
    while True:
        with contextlib.suppress(OSError):
            async with bystander.connected(port) as (reader, writer):
                writer.write(body)
                await reader.read()
        await asyncio.sleep(1)


async def reloads(config: Path, pid: int) -> None:
    """The same configuration, written anew."""
    text = config.read_text()  # noqa: ASYNC240 - once
    for number in itertools.count():
        await asyncio.sleep(10)
        config.write_text(f"{text}# {number}\n")  # noqa: ASYNC240 - a moment
        os.kill(pid, signal.SIGHUP)


async def kills(pid: int) -> None:
    """Every process below the gateway in turn: killed, or stopped for three seconds."""
    for how in itertools.cycle((signal.SIGKILL, signal.SIGSTOP)):
        await asyncio.sleep(15)
        below = family(pid)[1:]
        for child in random.sample(below, min(1, len(below))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, how)
                if how is signal.SIGSTOP:
                    await asyncio.sleep(3)
                    os.kill(child, signal.SIGCONT)


def family(pid: int) -> list[int]:
    """A process and all below it: the learner is a child of a worker."""
    below: list[int] = []
    with contextlib.suppress(OSError):
        below = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(process for child in below for process in family(child))]


def role(process: int) -> str:
    command = Path(f"/proc/{process}/cmdline").read_bytes()
    parts = {"worker": b"gateway.serving.worker", "recorder": b"gateway.store.recorder", "learner": b"optimizer"}
    return next((name for name, module in parts.items() if module in command), "supervisor")


def looked(pid: int, began: float) -> Look:
    """Memory and descriptors of the gateway and all below it."""
    descriptors, each = 0, list[tuple[str, float]]()
    for process in family(pid):
        with contextlib.suppress(OSError, IndexError):
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            each.append((f"{role(process)} {process}", pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
            descriptors += len(list(Path(f"/proc/{process}/fd").iterdir()))
    return Look(time.monotonic() - began, tuple(each), descriptors)


async def honest(port: int, ends: float, acknowledged: list[str]) -> list[tuple[float, bool]]:
    """Ask, and say what would have been right; the times in milliseconds and whether all went well."""
    times = list[tuple[float, bool]]()
    url = f"http://127.0.0.1:{port}/v1"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for number in itertools.count():
            if time.monotonic() > ends:
                break
            question = [{"role": "user", "content": f"honest: {number} + {number + 1}?"}]
            began, fine = time.perf_counter(), False
            with contextlib.suppress(httpx.HTTPError):
                reply = await client.post(f"{url}/chat/completions", json={**ASKED, "messages": question})
                fine = reply.status_code == 200
            times.append((1000 * (time.perf_counter() - began), fine))
            with contextlib.suppress(httpx.HTTPError):
                if fine:
                    judged = {"id": reply.json()["id"], "expected": 2 * number + 1}
                    given = await client.post(f"{url}/feedback", json=judged)
                    acknowledged += [judged["id"]] if given.status_code == 200 else []
            await asyncio.sleep(0.05)
    return times


def slope(points: list[tuple[float, float]]) -> float:
    """Megabytes a minute, from seconds and megabytes; not a number for fewer than two points."""
    times, sizes = [at / 60 for at, _ in points], [size for _, size in points]
    return statistics.linear_regression(times, sizes).slope if len(set(times)) > 1 else float("nan")


def memory_row(name: str, points: list[tuple[float, float]]) -> str:
    """A row of the table: start, peak, end, and the growth over the second half of these looks."""
    sizes = [size for _, size in points]
    growth = slope(points[len(points) // 2 :])
    return f"| {name} | {sizes[0]:.0f} | {max(sizes):.0f} | {sizes[-1]:.0f} | {growth:+.1f} |"


def lives(looks: list[Look]) -> dict[str, list[tuple[float, float]]]:
    """Of the worker and of the learner that lived longest: others begin anew after a kill."""
    each: dict[str, list[tuple[float, float]]] = {}
    for look in looks:
        for process, memory in look.each:
            each.setdefault(process, []).append((look.at, memory))
    return {
        f"{name} that lived longest": max(found, key=len)
        for name in ("worker", "recorder", "learner")
        if (found := [life for process, life in each.items() if process.startswith(name)])
    }


def report(times: list[tuple[float, bool]], looks: list[Look], acknowledged: list[str], lost: list[str]) -> str:
    """Three tables: the honest client, memory, and what should be as before. The last look is after the abuse."""
    waits = sorted(wait for wait, _ in times)
    p50, p99, worst = statistics.median(waits), waits[int(0.99 * (len(waits) - 1))], waits[-1]
    failed = sum(not fine for _, fine in times)
    rows = {"all processes": [(look.at, look.megabytes()) for look in looks[:-1]]}
    for name in ("supervisor", "worker", "recorder", "learner"):
        rows[f"every {name}"] = [(look.at, look.megabytes(name)) for look in looks[:-1]]
    memory = "\n".join(memory_row(name, points) for name, points in (rows | lives(looks[:-1])).items())
    first, last, most = looks[0], looks[-1], max(look.megabytes() for look in looks)
    return f"""\
{looks[-2].at / 60:.1f} minutes

| honest requests | failed | p50 | p99 | worst |
|---|---|---|---|---|
| {len(times)} | {failed} | {p50:.0f} ms | {p99:.0f} ms | {worst:.0f} ms |

| memory of | MB at the start | peak | at the end | MB a minute over the last half |
|---|---|---|---|---|
{memory}

| | at the start | peak | after the abuse |
|---|---|---|---|
| memory of all, MB | {first.megabytes():.0f} | {most:.0f} | {last.megabytes():.0f} |
| descriptors | {first.descriptors} | {max(look.descriptors for look in looks)} | {last.descriptors} |
| feedback acknowledged, and lost | | {len(acknowledged)} | {len(lost)} |"""  # fmt: skip


async def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            loopback_server(model) as url,
            bystander.serving(folder, CONFIG.format(folder=folder, url=url, workers=2, places=16)) as served,
        ):
            port, pid, config = served
            await asyncio.sleep(5)  # until every process is there
            began, acknowledged, looks = time.monotonic(), list[str](), list[Look]()
            head, body = bystander.HEAD, bystander.HEAD + b"content-length: 20000000\r\n\r\n"
            abuses: list[Any] = [
                bystander.slow_readers(port), bystander.dripped(port, head, b"x: y\r\n", 100), many_values(port),
                bystander.dripped(port, body, b" ", 100), hang_ups(port), reloads(config, pid), kills(pid),
            ]  # fmt: skip
            looks.append(looked(pid, began))
            running = [asyncio.create_task(abuse) for abuse in abuses]
            traffic = asyncio.create_task(honest(port, began + 60 * minutes, acknowledged))
            while not traffic.done():
                await asyncio.wait([traffic], timeout=2)
                looks.append(looked(pid, began))
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await asyncio.sleep(12)
            looks.append(looked(pid, began))
        store = SqlStore.open(Path(folder, "data"))
        graded = {entry.exchange.id for entry in store.graded("sums", limit=10**6)}
        store.close()
        print(report(traffic.result(), looks, acknowledged, sorted(set(acknowledged) - graded)))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0))
