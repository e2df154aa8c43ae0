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
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from tests.fakes import completion, events, raw_server, read_request

CONFIG = """
[server]
port = 0
data_dir = "{folder}"
write_timeout_s = 5
head_timeout_s = 5
body_timeout_s = 10
silence_timeout_s = 5
[upstreams.mock]
kind = "openai"
base_url = "{url}"
max_connections = 4
queue_timeout_s = 20
[models.small]
upstream = "mock"
model = "tiny"
[optimizer]
enabled = false
"""
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


async def slow_readers(port: int) -> None:
    """Eight streams that nobody reads."""

    async def hold() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(post(json.dumps({**ASKED, "stream": True}).encode()))
            await asyncio.sleep(30)
            del reader
            writer.close()

    await asyncio.gather(*(hold() for _ in range(8)))


async def dripped(port: int, start: bytes, step: bytes, many: int) -> None:
    """Requests that arrive byte by byte, and begin again when they are cut."""

    async def drip() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(start)
                while not reader.at_eof() and not writer.is_closing():
                    writer.write(step)
                    await writer.drain()
                    await asyncio.sleep(1)
                writer.close()

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
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(body)
                await reader.read()
                writer.close()

    await asyncio.gather(*(flood() for _ in range(4)))


async def nothing(port: int) -> None:
    await asyncio.Event().wait()


def written(folder: str, url: str) -> Path:
    config = Path(folder, "preceptor.toml")
    config.write_text(CONFIG.format(folder=folder, url=url), encoding="utf-8")
    return config


@contextlib.asynccontextmanager
async def gateway(url: str) -> AsyncIterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        config = written(folder, url)
        command = (sys.executable, "-m", "gateway", "serve", "-c", str(config))
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert process.stderr is not None
        try:
            while b"serves http" not in (line := await process.stderr.readline()):
                pass
            draining = asyncio.create_task(process.stderr.read())
            yield int(line.split(b"/v1")[0].rpartition(b":")[2])
            draining.cancel()
        finally:
            process.terminate()
            await process.wait()


async def bystander(port: int, seconds: float) -> str:
    """Ask every 20 ms; the times in milliseconds."""
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
    return (
        f"{len(times):>5} requests, {failures} failed; median {statistics.median(times):8.1f} ms, p99 {p99:8.1f} ms,"
        f" worst {times[-1]:8.1f} ms"
    )


async def main(seconds: float) -> None:
    abuses: dict[str, Abuse] = {
        "nothing": nothing, "slow readers": slow_readers, "half heads": half_heads, "half bodies": half_bodies,
        "many values": many_values,
    }  # fmt: skip
    async with raw_server(model) as url:
        for name, abuse in abuses.items():
            async with gateway(url) as port:
                abusing = asyncio.create_task(abuse(port))
                await asyncio.sleep(1)
                print(f"beside {name:<13} {await bystander(port, seconds)}", flush=True)  # noqa: T201 - a report
                abusing.cancel()
                await asyncio.gather(abusing, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
