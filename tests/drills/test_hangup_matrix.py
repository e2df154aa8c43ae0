"""Whoever hangs up, whenever, before whichever upstream: the upstream hears of it, and nothing is left behind.

Every kind of upstream, streamed or not, before the status line, between it and the first byte, and after that; on real
sockets from end to end. What the API itself does on a hang-up is told in test_api_hangup.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Exchange
from gateway.settings import LlamaCppSettings, OllamaSettings, UpstreamLimits
from gateway.store.memory import MemoryStore
from gateway.upstream.base import Upstream
from gateway.upstream.guarded import Guarded
from gateway.upstream.http import HttpUpstream
from gateway.upstream.llamacpp import LlamaCppUpstream
from gateway.upstream.ollama import OllamaUpstream
from optimizer.demo.loopback import loopback_server
from tests.conformance import replies
from tests.conformance.upstream import event
from tests.fakes import CONFIG, Served, completion, events, read_request, served

SILENT, STATUS, BEGUN, ANSWERED = "silent", "status", "begun", "answered"
"""What a request's text makes the upstream send: nothing, a status line and headers, the first of its reply, all."""

CHILD = "import sys; sys.stdin.readline(); print({line!r}, flush=True); sys.stdin.read()"
PLACES = 8
"""Requests that the upstream may work on at once."""


def openai_piece(path: str) -> bytes:
    """The first bytes of a stream that carry text."""
    match path:
        case "/v1/chat/completions":
            return b"".join(events(["It "])[:2])
        case "/v1/completions":
            return event(replies.text("It ", finish=None))
        case _:
            return b"".join(replies.response_events("It ")[:5])


OLLAMA_LINE = {
    "model": "tiny-1b",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "It "},
}
OLLAMA_END = {**OLLAMA_LINE, "done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}


class Generating:
    """A model server that works on a request until its client goes."""

    def __init__(self) -> None:
        self.working = 0
        """Requests under way."""
        self.begun = 0
        """Requests that were ever under way."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line, _, body = await read_request(reader)
            path = line.split(" ")[1]
            if ANSWERED.encode() in body:
                reply = json.dumps({**OLLAMA_END}).encode() if path == "/api/chat" else completion("4")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))
                continue
            writer.write(self._beginning(path, body))
            self.working += 1
            self.begun += 1
            try:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            finally:
                self.working -= 1
            return

    def _beginning(self, path: str, body: bytes) -> bytes:
        if SILENT.encode() in body:
            return b""
        if not json.loads(body).get("stream"):
            length = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
            return length + (b"{" if BEGUN.encode() in body else b"")
        native = path == "/api/chat"
        kind = b"application/x-ndjson" if native else b"text/event-stream"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % kind
        if STATUS.encode() in body:
            return head
        piece = json.dumps({**OLLAMA_LINE, "done": False}).encode() + b"\n" if native else openai_piece(path)
        return head + b"%x\r\n%s\r\n" % (len(piece), piece)


BOUNDS: dict[str, Any] = {"max_connections": PLACES, "retries": 0}
LIMITS = UpstreamLimits(**BOUNDS)


def openai(url: str, folder: Path) -> Upstream:
    return HttpUpstream("mock", LIMITS, base_url=url)


def llamacpp(url: str, folder: Path) -> Upstream:
    """The embedded server's supervision over a child that only says where the scripted server is."""
    file = folder / "tiny.gguf"
    file.write_bytes(b"GGUF")
    line = json.dumps({"address": url.removesuffix("/v1")})
    return LlamaCppUpstream(
        "mock",
        LlamaCppSettings(**BOUNDS),
        {"tiny-1b": file},
        lambda address, key: HttpUpstream("mock", LIMITS, base_url=address, api_key=key),
        command=[sys.executable, "-c", CHILD.format(line=line)],
    )


def ollama(url: str, folder: Path) -> Upstream:
    return OllamaUpstream("mock", OllamaSettings(base_url=url.removesuffix("/v1"), **BOUNDS))


KINDS: dict[str, Callable[[str, Path], Upstream]] = {"openai": openai, "llamacpp": llamacpp, "ollama": ollama}


class Gateway:
    """A gateway over a model server that generates for ever."""

    def __init__(self, server: Generating, store: MemoryStore, upstream: Guarded, running: Served) -> None:
        self.server = server
        self.running = running
        self._store = store
        self._upstream = upstream

    async def hang_up(self, path: str, body: dict[str, Any], *, reads: bytes, stays: Awaitable[None]) -> None:
        """Send a request, read up to some bytes, stay for something, and go."""
        host, _, port = self.running.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        if reads:
            await reader.readuntil(reads)
        await stays
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def working(self) -> None:
        """Wait until the upstream works on a request."""
        await self.running.until(lambda: self.server.working == 1)

    async def told(self) -> None:
        """Wait until every request of the upstream is over."""
        async with asyncio.timeout(10):
            await self.running.until(lambda: self.server.working == 0)

    async def recorded(self, count: int) -> Sequence[Exchange]:
        """The exchanges of the store, once there are that many."""
        await self.running.until(lambda: len(self._store._exchanges) >= count)
        return list(self._store._exchanges.values())

    async def serves(self) -> None:
        """More requests at once than it has places are all answered, and none is left."""
        asked = [self.running.client.post("/v1/chat/completions", json=chat(ANSWERED)) for _ in range(3 * PLACES)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        await self.running.until(lambda: self._upstream.in_flight == 0)
        assert self._upstream.waiting == 0


@pytest.fixture(params=KINDS)
async def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway over one upstream of each kind."""
    server, store = Generating(), MemoryStore()
    async with loopback_server(server) as url:
        upstream = Guarded(KINDS[request.param](url, tmp_path), "mock", LIMITS)
        text = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')
        async with served(upstream, text, store) as running:
            yield Gateway(server, store, upstream, running)


def chat(does: str, *, stream: bool = False) -> dict[str, Any]:
    """A chat request that makes the upstream do something."""
    messages = [{"role": "user", "content": does}]
    return {"model": "gpt-4o-mini", "messages": messages, **({"stream": True} if stream else {})}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("does", [SILENT, STATUS, BEGUN])
async def test_the_upstream_hears_of_a_client_that_hung_up(gateway: Gateway, does: str, stream: bool) -> None:
    """Its connection is closed within a second, the exchange is recorded as abandoned, and the gateway serves on."""
    reads = b"It " if stream and does == BEGUN else b""
    await gateway.hang_up("/v1/chat/completions", chat(does, stream=stream), reads=reads, stays=gateway.working())
    await gateway.told()
    (exchange,) = await gateway.recorded(1)
    assert (exchange.status, exchange.http_status, exchange.error) == ("abandoned", 499, "client_disconnected")
    assert exchange.reply == reads.decode()
    await gateway.serves()


ENDPOINTS: dict[str, tuple[str, dict[str, Any], bool]] = {
    # path, body, and whether an exchange is recorded
    "completions": ("/v1/completions", {"prompt": BEGUN, "stream": True}, True),
    "responses": ("/v1/responses", {"input": BEGUN, "stream": True}, True),
    "embeddings": ("/v1/embeddings", {"input": SILENT}, True),
    "pass through, silent": ("/v1/moderations", {"input": SILENT}, False),
    "pass through, begun": ("/v1/moderations", {"input": BEGUN}, False),
}


@pytest.mark.parametrize("gateway", ["openai"], indirect=True)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_endpoint_ends_its_work(gateway: Gateway, endpoint: str) -> None:
    """Not only chat."""
    path, body, recorded = ENDPOINTS[endpoint]
    reads = b"It " if "stream" in body else b""
    await gateway.hang_up(path, {"model": "small", **body}, reads=reads, stays=gateway.working())
    await gateway.told()
    if recorded:
        assert [exchange.status for exchange in await gateway.recorded(1)] == ["abandoned"]
    await gateway.serves()


HABITS: Sequence[tuple[str, bool, bytes, float]] = (
    # what the upstream does, streamed or not, what the client reads, how long it stays in seconds
    (SILENT, True, b"", 0.0),
    (SILENT, False, b"", 0.01),
    (STATUS, True, b"", 0.01),
    (BEGUN, False, b"", 0.01),
    (BEGUN, True, b"It ", 0.0),
)


async def test_five_hundred_clients_that_hang_up_leave_nothing_behind(gateway: Gateway) -> None:
    """More at once than there are places, at every moment of a request: every place is free again afterwards."""

    async def leaves(number: int) -> None:
        does, stream, reads, pause_s = HABITS[number % len(HABITS)]
        async with crowd:
            body = chat(does, stream=stream)
            await gateway.hang_up("/v1/chat/completions", body, reads=reads, stays=asyncio.sleep(pause_s))

    crowd = asyncio.Semaphore(3 * PLACES)
    await asyncio.gather(*map(leaves, range(500)))
    await gateway.told()
    assert gateway.server.begun >= 100, "those that read have reached the upstream"
    assert {exchange.status for exchange in await gateway.recorded(100)} == {"abandoned"}
    await gateway.serves()
