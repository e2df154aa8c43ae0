"""The wire for plain http: what every wire promises, and what only this one does; on asyncio's loop and on uvloop."""

import asyncio
import contextlib
import gc
import inspect
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.http1 import Http1Transport
from gateway.upstream.wire import Origin, Request
from tests.fakes import raw_server, read_request
from tests.upstream_contract import OK, Counted, WireContract, answers, ask, request, says

ANSWERS = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello": b"hello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n": b"hello",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello": b"hello",
    b"HTTP/1.1 204 No Content\r\n\r\n": b"",
}
"""Whole answers, and the bodies in them."""


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


async def answered(pieces: list[bytes]) -> bytes:
    """The body of an answer that a server writes piece by piece."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)

    made = Http1Transport(max_connections=1)
    try:
        async with raw_server(handle) as url, asyncio.timeout(5):
            return (await ask(made, request(url)))[1]
    finally:
        await made.aclose()


@given(st.sampled_from(list(ANSWERS)), st.lists(st.integers(1, 40), max_size=20))
@settings(max_examples=60, deadline=None)
def test_an_answer_may_be_split_anywhere(answer: bytes, sizes: list[int]) -> None:
    """Where packets begin and end changes nothing, be it in the middle of a head, a chunk's size or a trailer."""
    pieces, rest = [], answer
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert uvloop.run(answered([*pieces, rest])) == ANSWERS[answer]


@given(
    st.sampled_from(list(ANSWERS)), st.integers(0, 120), st.integers(0, 10), st.binary(max_size=20) | st.just(b"\r\n")
)
@settings(max_examples=100, deadline=None)
def test_whatever_a_server_says_is_an_answer_or_an_error(answer: bytes, start: int, cut: int, put: bytes) -> None:
    """An answer with a hole or with noise in it is read, or is an error of httpx's; nothing else is raised or hangs."""
    with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
        uvloop.run(answered([answer[:start] + put + answer[start + cut :]]))


async def test_headers_arrive_as_they_were_sent(transport: Http1Transport) -> None:
    """In order, repeated ones and empty ones, too; those of interim answers and trailers are left out."""
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Was:  a \r\nX-Empty:\r\nx-was: b\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    async with raw_server(says(answer)) as url:
        response = await transport.handle_async_request(request(url))
        await response.aread()
        await response.aclose()
    assert response.headers.raw == [
        (b"X-Was", b"a"),
        (b"X-Empty", b""),
        (b"x-was", b"b"),
        (b"Transfer-Encoding", b"chunked"),
    ]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n X-Folded: 1\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 102 Processing\r\nContent-Length: 2\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_garbage(transport: Http1Transport, head: bytes) -> None:
    """No leniency: a length given twice, even if both say the same, and whatever else the standard forbids."""
    async with raw_server(says(head + b"\r\nok")) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, request(url, read=5))


@pytest.mark.parametrize("part", [b"0\r\nX: ", b"1;"], ids=["a trailer", "an extension of a chunk"])
async def test_what_is_not_body_is_bounded_behind_the_head_too(transport: Http1Transport, part: bytes) -> None:
    """A trailer or a chunk's extension without end is garbage, not memory."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + part)
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()

    async with raw_server(handle) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, request(url, read=5))


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
    async with raw_server(server) as url:
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
    async with raw_server(server) as url:
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

    async with raw_server(handle) as url:
        response = await transport.handle_async_request(request(url))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        pieces = aiter(response.stream)
        assert await anext(pieces) == b"hel"
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await anext(pieces)


async def test_an_answer_that_was_closed_says_so_to_whoever_still_reads(transport: Http1Transport) -> None:
    """Its connection may be another's by then: it hears nothing of that."""
    async with raw_server(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")) as url:
        port = httpx.URL(url).port
        assert port is not None
        sent = Request(origin=Origin("http", "127.0.0.1", port), method="GET", target=b"/", headers=())
        answer = await transport.send(sent)
        assert await answer.piece(5) == b"hello"
        answer.close()
        answer.close()
        with pytest.raises(httpx.ReadError):
            await answer.piece(5)


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

    async with raw_server(handle) as url:
        assert await ask(transport, httpx.Request("POST", url, content=pieces())) == (200, b"ok")
    assert bodies == [b"in pieces"]


async def test_a_request_leaves_nothing_for_the_garbage_collector(transport: Http1Transport) -> None:
    """Answer, parser and connection point at each other only while the answer is under way."""
    server = Counted(lambda connection, number, writer: answers(writer))
    async with raw_server(server) as url:
        port = httpx.URL(url).port
        assert port is not None
        sent = Request(origin=Origin("http", "127.0.0.1", port), method="POST", target=b"/", headers=(), body=b"{}")
        gc.collect()
        gc.disable()
        try:
            for _ in range(100):
                answer = await transport.send(sent)
                assert await answer.piece(5) == b"ok"
                answer.close()
                del answer
            assert not [found for found in gc.get_objects() if type(found).__name__ == "_Answer"]
        finally:
            gc.enable()
