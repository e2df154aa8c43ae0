"""A client that hangs up ends the work that was done for it, on a real socket from end to end."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.api.hangup import ClientGone, HangUp
from gateway.domain import Exchange
from gateway.errors import UpstreamBroken
from gateway.store.memory import MemoryStore
from gateway.upstream.http import HttpUpstream
from optimizer.demo.loopback import loopback_server
from tests.fakes import CONFIG, Served, asked, completion, events, read_request, served, settings

GENERATING, GONE = "generating", "gone"


class Generating:
    """A model server that works on a request until its client goes; what happened is told through ``news``.

    Asked for the model's name ``now`` in the request's text, it answers at once.
    """

    def __init__(self, begins: bytes) -> None:
        self.news: asyncio.Queue[str] = asyncio.Queue()
        self._begins = begins

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, body = await read_request(reader)
            if b"answer now" in body:
                reply = completion("4")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))
                continue
            writer.write(self._begins)
            self.news.put_nowait(GENERATING)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            self.news.put_nowait(GONE)
            return

    async def expect(self, word: str) -> None:
        async with asyncio.timeout(20):
            assert await self.news.get() == word


@contextlib.asynccontextmanager
async def over(generating: Generating) -> AsyncIterator[tuple[Served, MemoryStore]]:
    """A gateway whose upstream is that model server, and its store."""
    store = MemoryStore()
    async with loopback_server(generating) as url:
        upstream = HttpUpstream("mock", settings().upstreams["mock"], base_url=url, api_key=None)
        async with served(upstream, store=store) as gateway:
            yield gateway, store


def chunked(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


SCOPE: Any = {}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
BEGUN = HEAD + chunked(events(["It "])[0]) + chunked(events(["It "])[1])
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"

CASES: dict[str, tuple[bool, bytes, bool]] = {
    # streamed or not, what the upstream has sent when the client goes, whether the client has read of it
    "whole, before the status": (False, b"", False),
    "whole, in the body": (False, HALF, False),
    "stream, before the status": (True, b"", False),
    "stream, before the first event": (True, HEAD, False),
    "stream, after the first event": (True, BEGUN, True),
}


async def hang_up(gateway: Served, generating: Generating, *, stream: bool, reads: bool) -> None:
    """Send a request, wait until the upstream works on it (and the reply begins), and go."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(asked(stream=stream)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await generating.expect(GENERATING)
    if reads:
        await reader.readuntil(b"It ")
    writer.close()
    await writer.wait_closed()


async def ended(store: MemoryStore, gateway: Served, count: int) -> list[Exchange]:
    """The exchanges of the store, once there are that many."""
    await gateway.until(lambda: store.counts().get("arithmetic") is not None)
    await gateway.until(lambda: store.counts()["arithmetic"].exchanges >= count)
    return list(store._exchanges.values())


@pytest.mark.parametrize("case", CASES)
async def test_the_upstream_hears_of_a_client_that_hung_up(case: str) -> None:
    """Its connection is closed within a second, the exchange is recorded as abandoned, and the gateway serves on."""
    stream, begins, reads = CASES[case]
    generating = Generating(begins)
    async with over(generating) as (gateway, store):
        await hang_up(gateway, generating, stream=stream, reads=reads)
        await generating.expect(GONE)
        (exchange,) = await ended(store, gateway, 1)
        after = await gateway.client.post("/v1/chat/completions", json=asked(user="answer now"))
    assert (exchange.status, exchange.http_status, exchange.error) == ("abandoned", 499, "client_disconnected")
    assert exchange.reply == ("It " if reads else "")
    assert after.status_code == 200


async def test_a_hundred_clients_that_hang_up_leave_nothing_behind() -> None:
    """One after the other, before and after the first byte: every one is cut, recorded once, and requests work."""
    generating = Generating(b"")
    async with over(generating) as (gateway, store):
        for number in range(100):
            generating._begins = BEGUN if number % 2 else b""
            await hang_up(gateway, generating, stream=True, reads=number % 2 == 1)
            await generating.expect(GONE)
        exchanges = await ended(store, gateway, 100)
        after = await gateway.client.post("/v1/chat/completions", json=asked(user="answer now"))
    assert [exchange.status for exchange in exchanges] == ["abandoned"] * 100
    assert after.status_code == 200


class ClientConnection:
    """The receiving end of a connection that can be hung up."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    def hang_up(self) -> None:
        self._gone.set()

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}


async def within(line: ClientConnection, body: Callable[[], Any]) -> Any:
    with HangUp(SCOPE, line.receive):
        return await body()


async def test_a_body_that_ends_first_is_left_alone() -> None:
    """No hang-up: the result passes, and so does an exception."""

    async def fails() -> None:
        raise UpstreamBroken("cut")

    line = ClientConnection()
    assert await within(line, lambda: asyncio.sleep(0, "done")) == "done"
    with pytest.raises(UpstreamBroken):
        await within(line, fails)


async def test_a_hang_up_runs_the_body_s_clean_up_and_becomes_client_gone() -> None:
    """The body is cancelled at its await, its ``finally`` runs to its end, and the task itself is not cancelled."""
    steps: list[str] = []

    async def body() -> None:
        line.hang_up()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    line = ClientConnection()
    with pytest.raises(ClientGone):
        await within(line, body)
    task = asyncio.current_task()
    assert task is not None
    assert (steps, task.cancelling()) == (["cleaned up"], 0)
    await asyncio.sleep(0)


async def test_an_error_during_the_clean_up_is_still_a_hang_up() -> None:
    """What fails while the body is being cancelled is nobody's error: the client is gone."""

    async def body() -> None:
        line.hang_up()
        try:
            await asyncio.sleep(60)
        finally:
            raise UpstreamBroken("cut")

    line = ClientConnection()
    with pytest.raises(ClientGone):
        await within(line, body)


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    """A gateway that stops cancels its requests: that is not a client that hung up, even if the client does as well."""
    line = ClientConnection()
    for both in (False, True):
        task = asyncio.create_task(within(line, lambda: asyncio.sleep(60)))
        await asyncio.sleep(0)
        if both:
            line.hang_up()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class Flooding:
    """A model server that streams without end until its client goes, or answers at once if asked for that."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, body = await read_request(reader)
            if b"answer now" in body:
                reply = completion("4")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))
                continue
            writer.write(HEAD)
            piece = chunked(events(["x" * 10_000])[1])
            try:
                while True:
                    writer.write(piece)
                    await writer.drain()
            finally:
                self.gone.set()


async def test_a_client_that_does_not_read_gives_its_place_at_the_upstream_back() -> None:
    """Those who wait for the place are served then."""
    text = CONFIG.replace("port = 0", "port = 0\nwrite_timeout_s = 0.3").replace(
        'base_url = "http://127.0.0.1:9/v1"', 'base_url = "http://127.0.0.1:9/v1"\nmax_connections = 1'
    )
    flooding = Flooding()
    async with loopback_server(flooding) as url:
        upstream = HttpUpstream("mock", settings(text).upstreams["mock"], base_url=url, api_key=None)
        async with served(upstream, text) as gateway:
            host, _, port = gateway.url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            body = json.dumps(asked(stream=True)).encode()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % len(body)
                + body
            )
            await reader.readexactly(1)
            after = await gateway.client.post("/v1/chat/completions", json=asked(user="answer now"))
            async with asyncio.timeout(10):
                await flooding.gone.wait()
            writer.close()
    assert after.status_code == 200
