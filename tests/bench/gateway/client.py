"""The load that wrk cannot make: events inside a stream as they arrive, thousands of streams at once, a burst.

A process of its own, ``python -m tests.bench.gateway.client``: reads a ``Load`` from stdin and prints what it saw as
one JSON object. It is one Python process, and near 20,000 events a second it would measure itself: it says which share
of its core it used.
"""

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

from gateway.domain import Value

SENT = re.compile(rb"t(\d{6,})e")
"""When an event was sent: what ``mock`` writes."""


class Load(Value, frozen=True):
    """What is asked of the client."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    connections: int
    seconds: float
    """How long it lasts, the ramp included. With ``again`` off, it ends earlier when everything is answered."""
    ramp_s: float = 0.0
    """Seconds over which the connections are opened, evenly."""
    again: bool = True
    """Whether a connection asks again when it was answered."""

    def request(self) -> bytes:
        """The whole request as it goes over the wire."""
        where = urlsplit(self.url)
        headers = {"host": where.netloc, "content-length": str(len(self.body)), **self.headers}
        lines = [f"POST {where.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


class Seen:
    """What all connections saw. Times in nanoseconds."""

    def __init__(self) -> None:
        self.first: list[int] = []
        """From the request to its first event with text, or to the end of a whole reply."""
        self.events: list[int] = []
        """From the sending of an event by the model server to its arrival."""
        self.answered = 0
        self.failed = 0
        self.open = 0
        """Streams that have begun and have not ended."""

    def report(self, wall_s: float, cpu_s: float) -> dict[str, float]:
        return {
            **percentiles("first", self.first),
            **percentiles("event", self.events),
            "answered": self.answered,
            "failed": self.failed,
            "held": self.open,
            "events": len(self.events),
            "events_per_s": len(self.events) / wall_s,
            "client_cpu": cpu_s / wall_s,
            "wall_s": wall_s,
        }


def percentiles(name: str, times: list[int]) -> dict[str, float]:
    """Median, 99th percentile and maximum in ms; nothing where nothing was seen."""
    if not times:
        return {}
    times.sort()
    return {
        f"{name}_p50": times[len(times) // 2] / 1e6,
        f"{name}_p99": times[min(len(times) - 1, int(len(times) * 0.99))] / 1e6,
        f"{name}_max": times[-1] / 1e6,
    }


class Connection(asyncio.Protocol):
    """One connection that sends a request and reads the answer, again and again if so asked."""

    def __init__(self, load: Load, request: bytes, seen: Seen, over: asyncio.Event) -> None:
        self._load, self._request, self._seen, self._over = load, request, seen, over
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._rest = b""
        self._begun = False
        self._waiting = True
        self._asked = time.monotonic_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        now = time.monotonic_ns()
        text = self._rest + data
        read = text.rfind(b"\n\n") + 1
        for found in SENT.finditer(text):
            read = max(read, found.end())
            if not self._begun:
                self._begun = True
                self._seen.open += 1
                self._seen.first.append(now - self._asked)
            self._seen.events.append(now - int(found[1]))
        self._rest = text[read:]  # an event may arrive in two pieces

    def on_message_complete(self) -> None:
        now = time.monotonic_ns()
        self._waiting = False
        if self._parser.get_status_code() != 200 or (b'"choices"' not in self._rest and not self._begun):
            self._seen.failed += 1
        else:
            self._seen.answered += 1
            if not self._begun:
                self._seen.first.append(now - self._asked)
        self._seen.open -= self._begun
        if not self._load.again:
            if self._seen.answered + self._seen.failed == self._load.connections:
                self._over.set()
        elif self._parser.should_keep_alive():
            # Not from inside the parser, which has not ended with this answer yet.
            asyncio.get_running_loop().call_soon(self._again)
        else:
            self._transport.close()

    def _again(self) -> None:
        if not self._transport.is_closing() and not self._over.is_set():
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting and not self._over.is_set():
            self._seen.failed += 1
            self._seen.open -= self._begun


async def run(load: Load) -> dict[str, float]:
    """Make the load and tell what was seen."""
    loop = asyncio.get_running_loop()
    seen, over, request = Seen(), asyncio.Event(), load.request()
    where = urlsplit(load.url)
    host, port = where.hostname or "", where.port or 80
    began, cpu_began = time.monotonic(), time.process_time()
    opened: list[asyncio.Transport] = []

    async def connect(number: int) -> None:
        await asyncio.sleep(load.ramp_s * number / load.connections)
        try:
            transport, _ = await loop.create_connection(lambda: Connection(load, request, seen, over), host, port)
        except OSError:
            seen.failed += 1
        else:
            opened.append(transport)

    connecting = [asyncio.create_task(connect(number)) for number in range(load.connections)]
    try:
        async with asyncio.timeout(load.seconds):
            await over.wait()
    except TimeoutError:
        over.set()
    for task in connecting:
        task.cancel()
    if not load.again:
        seen.failed = load.connections - seen.answered
    report = seen.report(time.monotonic() - began, time.process_time() - cpu_began)
    for transport in opened:
        transport.abort()
    return report


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(load))))


if __name__ == "__main__":
    main()
