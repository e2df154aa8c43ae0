"""How are connections dealt out to two processes: with one socket for both, or with a socket each?

``python -m tests.bench.gateway.spread`` prints how many of so many clients each got, run by run. What rests on it
stands in ``gateway/http_server/listener.py``.
"""

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from typing import cast

import click
import uvloop

from gateway.http_server.listener import BACKLOG, beside, bind, share

WORK_S = 0.0002
"""What a process does for each request, so that it can be busy when the next client comes."""
START_S = 0.5


class Named(asyncio.Protocol):
    """Answers every request with the name of its process."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        end = time.perf_counter() + WORK_S
        while time.perf_counter() < end:
            pass
        self._transport.write(self._name)


async def serve(listener: socket.socket, name: bytes) -> None:
    await asyncio.get_running_loop().create_server(lambda: Named(name), sock=listener, backlog=BACKLOG)
    await asyncio.Event().wait()


async def connected(port: int, clients: int, gap_s: float) -> Counter[bytes]:
    """Who answers so many clients that come with a gap between them, and stay."""
    found: Counter[bytes] = Counter()

    async def client(number: int) -> asyncio.StreamWriter:
        await asyncio.sleep(gap_s * number)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for asks in range(20):
            writer.write(b"?")
            name = await reader.readexactly(1)
            found[name] += not asks
        return writer

    for writer in await asyncio.gather(*map(client, range(clients))):
        writer.close()
    return found


@click.command()
@click.option("--runs", default=5, show_default=True)
def main(runs: int) -> None:
    """Print a line for each case."""
    for way in ("one socket for both", "a socket each"):
        first = bind("127.0.0.1", 0)
        share(first)
        port = first.getsockname()[1]
        second = first if way.startswith("one") else beside(first.family, first.getsockname())
        pids = []
        for listener, name in ((first, b"A"), (second, b"B")):
            pid = os.fork()
            if pid == 0:
                uvloop.run(serve(listener, name))
            pids.append(pid)
        first.close()
        second.close()
        time.sleep(START_S)
        for clients, gap_s in ((4, 0.0), (16, 0.0), (16, 0.01), (64, 0.0), (256, 0.0)):
            seen = [asyncio.run(connected(port, clients, gap_s)) for _ in range(runs)]
            dealt = ", ".join(f"{one[b'A']}:{one[b'B']}" for one in seen)
            click.echo(f"{way}, {clients} clients, {gap_s * 1000:g} ms apart: {dealt}")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
