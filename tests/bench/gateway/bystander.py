"""A bystander's latency while others misbehave: ``python -m tests.bench.gateway.bystander [SECONDS]``.

One honest client asks in turn, alone and then beside each kind of abuse, and its times are printed. A gateway on
loopback in a process of its own, with a scripted upstream of four places; nothing here is asserted.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from optimizer.demo.loopback import loopback_server
from tests.fakes import completion, events, read_request

GATEWAY = """
[server]
port = 0
workers = {workers}
data_dir = "{folder}/data"
write_timeout_s = 5
head_timeout_s = 5
body_timeout_s = 10
silence_timeout_s = 5
[upstreams.mock]
kind = "openai"
base_url = "{url}"
max_connections = {places}
queue_timeout_s = 20
breaker_failures = 1000
[models.small]
upstream = "mock"
model = "tiny"
"""
"""A gateway that waits for clients for seconds instead of minutes."""
CONFIG = f"{GATEWAY}[optimizer]\nenabled = false\n"
ASKED = {"model": "small", "messages": [{"role": "user", "content": "2 + 2?"}]}
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
Abuse = Callable[[int], Coroutine[Any, Any, None]]


async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers at once; a stream never ends."""
    while True:
        _, _, body = await read_request(reader)
        if b'"stream":true' not in body.replace(b" ", b""):
            reply = completion("4")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))
            continue
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        event = events(["x" * 10_000])[1]
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()


def post(body: bytes) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


@contextlib.asynccontextmanager
async def connected(port: int, limit: int = 65_536) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, cut at the end whatever is under way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def slow_readers(port: int) -> None:
    """Eight streams that nobody reads."""

    async def hold() -> None:
        while True:
            async with connected(port, limit=1024) as (_, writer):
                writer.write(post(json.dumps({**ASKED, "stream": True}).encode()))
                await asyncio.sleep(30)

    await asyncio.gather(*(hold() for _ in range(8)))


async def dripped(port: int, start: bytes, step: bytes, many: int) -> None:
    """Requests that arrive byte by byte, and begin again when they are cut."""

    async def drip() -> None:
        while True:
            with contextlib.suppress(OSError):
                async with connected(port) as (reader, writer):
                    writer.write(start)
                    while not reader.at_eof() and not writer.is_closing():
                        writer.write(step)
                        await writer.drain()
                        await asyncio.sleep(1)

    await asyncio.gather(*(drip() for _ in range(many)))


async def half_heads(port: int) -> None:
    await dripped(port, HEAD, b"x: y\r\n", 500)


async def half_bodies(port: int) -> None:
    await dripped(port, HEAD + b"content-length: 20000000\r\n\r\n", b" ", 500)


async def many_values(port: int) -> None:
    """Four clients that send 20 MB of small JSON over and over."""
    body = post(("{" + ",".join(f'"k{number}":1' for number in range(1_500_000)) + "}").encode())

    async def flood() -> None:
        while True:
            with contextlib.suppress(OSError):
                async with connected(port) as (reader, writer):
                    writer.write(body)
                    await reader.read()

    await asyncio.gather(*(flood() for _ in range(4)))


async def nothing(port: int) -> None:
    await asyncio.Event().wait()


class Served(NamedTuple):
    """A gateway in a process of its own."""

    port: int
    pid: int
    config: Path


@contextlib.asynccontextmanager
async def serving(folder: str, config: str) -> AsyncIterator[Served]:
    """A gateway with this configuration, in ``folder``. Raises ``RuntimeError`` if it ends by itself."""
    file = Path(folder, "preceptor.toml")
    file.write_text(config)  # noqa: ASYNC240 - before anything runs
    command = (sys.executable, "-P", "-m", "gateway", "serve", "-c", str(file))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    said, log = deque[bytes](maxlen=20), process.stderr

    async def drain() -> None:
        async for line in log:
            said.append(line)

    while b"serves http" not in (line := await log.readline()):
        assert line, "the gateway ended"
    draining = asyncio.create_task(drain())
    try:
        yield Served(int(line.split(b"/v1")[0].rpartition(b":")[2]), process.pid, file)
    finally:
        if process.returncode is not None:
            raise RuntimeError(f"the gateway ended: {b''.join(said).decode(errors='replace')}")
        process.terminate()
        await process.wait()
        draining.cancel()


class Waits(NamedTuple):
    """A bystander's requests, and its times in milliseconds."""

    asked: int
    failures: int
    median: float
    p99: float
    worst: float

    def __str__(self) -> str:
        return (
            f"{self.asked:>5} requests, {self.failures} failed; median {self.median:8.1f} ms, p99 {self.p99:8.1f} ms,"
            f" worst {self.worst:8.1f} ms"
        )


async def bystander(port: int, seconds: float) -> Waits:
    """Ask every 20 ms; no answer within 30 s is a failure."""
    times: list[float] = []
    failures = 0
    ends = time.monotonic() + seconds
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while time.monotonic() < ends:
            began = time.perf_counter()
            try:
                reply = await client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=ASKED)
                failures += reply.status_code != 200
            except httpx.HTTPError:
                failures += 1
            times.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.02)
    times.sort()
    p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    return Waits(len(times), failures, statistics.median(times), p99, times[-1])


ABUSES: dict[str, Abuse] = {
    "nothing": nothing, "slow readers": slow_readers, "half heads": half_heads, "half bodies": half_bodies,
    "many values": many_values,
}  # fmt: skip


async def beside(abuse: Abuse, url: str, seconds: float) -> Waits:
    """A bystander's times beside an abuse, at a gateway of its own in front of the model at ``url``."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(folder, CONFIG.format(folder=folder, url=url, workers=1, places=4)) as served:
            abusing = asyncio.create_task(abuse(served.port))
            await asyncio.sleep(1)
            try:
                return await bystander(served.port, seconds)
            finally:
                abusing.cancel()
                await asyncio.gather(abusing, return_exceptions=True)


async def main(seconds: float) -> None:
    async with loopback_server(model) as url:
        for name, abuse in ABUSES.items():
            print(f"beside {name:<13} {await beside(abuse, url, seconds)}", flush=True)  # noqa: T201 - a report


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
