"""The wire for plain http: what every wire promises, and what only this one does; on asyncio's loop and on uvloop."""

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvloop

from gateway.upstream.http1 import Http1Transport
from gateway.upstream.wire import Origin, Request
from optimizer.demo.loopback import loopback_server
from tests.fakes import read_request
from tests.upstream_contract import OK, Counted, WireContract, answers, ask, request


@pytest.fixture
async def transport() -> AsyncIterator[Http1Transport]:
    made = Http1Transport(max_connections=10)
    yield made
    await made.aclose()


class TestHttp1Transport(WireContract):
    """The contract."""


SCENARIOS = [
    name
    for name, test in vars(WireContract).items()
    if name.startswith("test_") and list(inspect.signature(test).parameters) == ["self", "transport"]
]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_contract_holds_on_uvloop(name: str) -> None:
    """The server runs on uvloop, whose sockets close, pause and fail in ways of their own."""

    async def scenario() -> None:
        made = Http1Transport(max_connections=10)
        try:
            await getattr(WireContract(), name)(made)
        finally:
            await made.aclose()

    uvloop.run(scenario())


async def test_a_connection_that_is_not_accepted_is_a_connect_time_out(transport: Http1Transport) -> None:
    """A server whose queue is full: ``ConnectTimeout``."""
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as more:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (waiting, more):
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        with pytest.raises(httpx.ConnectTimeout):
            await ask(transport, request(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.05))


async def test_a_request_without_a_free_connection_waits_no_longer_than_for_an_answer() -> None:
    """The wait for a turn counts: ``PoolTimeout``."""
    server = Counted(lambda connection, number, writer: True)
    made = Http1Transport(max_connections=1)
    async with loopback_server(server) as url:
        first = asyncio.create_task(ask(made, request(url, read=5)))
        await asyncio.sleep(0)
        with pytest.raises(httpx.PoolTimeout):
            await ask(made, request(url, read=0.05))
        first.cancel()
        await made.aclose()


async def test_a_connection_that_rested_too_long_is_not_used() -> None:
    """A router on the way may have forgotten it without a word; it is closed instead."""
    made = Http1Transport(max_connections=10, kept_s=0)
    server = Counted(lambda connection, number, writer: answers(writer))
    async with loopback_server(server) as url:
        for _ in range(3):
            assert await ask(made, request(url)) == (200, b"ok")
        await made.aclose()
    assert (server.connections, server.requests) == (3, 3)


async def test_an_answer_cut_by_closing_the_transport_is_not_whole(transport: Http1Transport) -> None:
    """The end of the connection ends a body without a length, but only if the server ended it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await reader.read()

    async with loopback_server(handle) as url:
        response = await transport.handle_async_request(request(url))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        pieces = aiter(response.stream)
        assert await anext(pieces) == b"hel"
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await anext(pieces)


async def test_a_streamed_request_is_collected_first(transport: Http1Transport) -> None:
    """A body that comes in pieces is sent with its length, so it may be sent again like any other."""
    bodies: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, headers, body = await read_request(reader)
            assert "transfer-encoding" not in headers
            bodies.append(body)
            writer.write(OK)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"in "
        yield b"pieces"

    async with loopback_server(handle) as url:
        assert await ask(transport, httpx.Request("POST", url, content=pieces())) == (200, b"ok")
    assert bodies == [b"in pieces"]


@pytest.mark.parametrize("place", [b"00-1\r\nx: y", b"a b", b"-", b"\xff"])
async def test_nothing_else_is_sent_as_a_span_s_place(transport: Http1Transport, place: bytes) -> None:
    """A line break would begin another header."""
    origin = Origin("http", "127.0.0.1", 9)
    with pytest.raises(httpx.LocalProtocolError):
        await transport.send(Request(origin=origin, method="GET", target=b"/", headers=(), traceparent=place))
