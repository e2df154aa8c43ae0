"""The server's side of a connection: bounded heads, no endless waiting, and refusals that a client can read."""

import asyncio
import contextlib
import gc
import weakref
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.http_server.connection import MAX_HEAD, HttpProtocol
from gateway.http_server.limits import TAKEN_BYTES, ConnectionLimits, Cuts, Reason
from gateway.http_server.request_response import TRANSACTION
from tests.connections import GET, HEAD, LAST, Far, bodies, echo, measured, path_of, refusal, said, serving

CHUNKED = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"


IMPATIENT = ConnectionLimits(silence_s=0.1)
"""Waits for a silent client as long as a test can."""


@pytest.mark.parametrize(
    "sent", [b"", HEAD, HEAD + b"content-length: 9\r\n\r\nhalf"], ids=["nothing", "half a head", "half a body"]
)
async def test_a_client_that_falls_silent_is_not_waited_for(sent: bytes) -> None:
    """Its connection would hold memory, and the shutdown, for ever."""
    async with serving(IMPATIENT) as port:
        assert refusal(await said(port, sent))[0] == 408


async def test_a_slow_client_is_waited_for() -> None:
    """What counts is silence, not the whole time."""
    body = [bytes([letter]) for letter in b"slowly does it"]
    async with serving(IMPATIENT) as port:
        head = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        assert (await said(port, head, *body, pause_s=0.02)).endswith(b"\r\n\r\n14")


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "endless"])
@pytest.mark.parametrize("step", [1000, 2 * MAX_HEAD], ids=["in pieces", "at once"])
async def test_a_head_has_a_bound(ended: bool, step: int) -> None:
    """However it arrives."""
    head = HEAD + b"x: y\r\n" * (MAX_HEAD // 3) + (b"content-length: 0\r\n\r\n" if ended else b"")
    async with serving() as port:
        with contextlib.suppress(ConnectionError):  # it may be cut before all is written
            answer = await said(port, *(head[at : at + step] for at in range(0, len(head), step)))
            assert not answer or refusal(answer)[0] == 431


async def test_a_large_body_is_not_a_large_head() -> None:
    """Also when both arrive at once."""
    async with serving() as port:
        size = 3 * MAX_HEAD
        request = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size
        assert (await said(port, request)).endswith(str(size).encode())


async def test_what_is_no_http_is_refused_in_openais_shape() -> None:
    """All four keys, as everywhere."""
    async with serving() as port:
        status, error = refusal(await said(port, b"hello\r\n\r\n"))
    assert (status, set(error)) == (400, {"message", "type", "param", "code"})


@pytest.mark.parametrize("sent", [b"CONNECT example.com:443 HTTP/1.1", b"PRI * HTTP/2.0"])
async def test_what_can_only_be_something_else_is_refused(sent: bytes) -> None:
    """A tunnel, or HTTP/2 without asking."""
    async with serving() as port:
        assert refusal(await said(port, sent + b"\r\nhost: x\r\n\r\n"))[0] == 400


async def test_a_path_is_told_as_it_came_and_as_it_is_read() -> None:
    """And the query apart."""
    seen: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope)
        await path_of(scope, receive, send)

    async with serving(application=application) as port:
        await said(port, b"GET /a%20b?c=%20 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    scope = seen[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=%20")
    assert scope["headers"] == [(b"host", b"x"), (b"connection", b"close")]
    assert scope["client"][0] == "127.0.0.1" and scope["server"][1] == port


async def test_a_client_that_hangs_up_is_told_of_while_it_is_answered() -> None:
    """So that nobody generates for nobody."""
    heard = asyncio.Event()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async with serving(application=application) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"1")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.close()
        async with asyncio.timeout(10):
            await heard.wait()


FORGETFUL = ConnectionLimits(silence_s=0.05, kept_s=0.1)
"""Keeps a connection as long as a test can wait."""


async def test_a_connection_that_nobody_uses_is_closed() -> None:
    """Without a word: the client owes nothing."""
    async with serving(FORGETFUL, application=path_of) as port:
        assert bodies(await said(port, GET % b"1")) == [b"/1"]


async def test_a_client_is_not_called_silent_while_it_waits_for_its_answer() -> None:
    """However long that takes."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await path_of(scope, receive, send)

    async with serving(FORGETFUL, application=application) as port:
        assert bodies(await said(port, LAST % b"1")) == [b"/1"]


async def test_an_answer_that_comes_before_the_end_of_the_request_is_not_followed_by_a_refusal() -> None:
    """The rest of the body is ignored, and the client's silence ends the connection."""
    async with serving(ConnectionLimits(silence_s=1.0), application=path_of) as port:  # the answer has to be first
        assert bodies(await said(port, b"POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")) == [b"/1"]


async def test_a_trailer_is_no_header() -> None:
    """It comes behind what headers decide about."""
    seen: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await measured(scope, receive, send)
        seen.append(scope)

    async with serving(application=application) as port:
        assert bodies(await said(port, CHUNKED + b"x-preceptor-task: sums\r\n\r\n")) == [b"POST / ab"]
    assert b"x-preceptor-task" not in dict(seen[0]["headers"])


@pytest.mark.parametrize("line", [b"x: y\r\n", b"y"], ids=["many", "one without an end"])
async def test_trailers_have_a_bound(line: bytes) -> None:
    """They are kept by nobody, and read by nobody for ever."""
    async with serving() as port:
        with contextlib.suppress(ConnectionError):
            answer = await said(port, CHUNKED + b"x: ", *[line * 1000] * 100)
            assert not answer or refusal(answer)[0] == 431


async def drip(port: int, start: bytes, step: bytes) -> bytes:
    """All that the server says to a client that never falls silent and never comes to an end; nothing if it is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    try:
        writer.write(start)
        async with asyncio.timeout(10):
            while not answer.done():
                writer.write(step)
                await asyncio.sleep(0.01)
            return await answer
    except ConnectionError:  # it wrote to a closed connection before it read the answer
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("start", "step", "reason"),
    [
        (HEAD, b"x: y\r\n", "slow head"),
        (HEAD + b"content-length: 999999\r\n\r\n", b"x", "slow body"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", "slow body"),
    ],
    ids=["head", "body", "chunks"],
)
async def test_a_dripping_client_is_not_waited_for(start: bytes, step: bytes, reason: Reason) -> None:
    """The whole time counts, besides the silence."""
    cut: list[Reason] = []
    limits = ConnectionLimits(head_s=0.2, body_s=0.2)
    async with serving(limits, cuts=Cuts(cut.append)) as port:
        answer = await drip(port, start, step)
    assert not answer or refusal(answer)[0] == 408
    assert cut == [reason]


class Pouring:
    """An application that answers with more than any buffer holds, in one piece or in many."""

    def __init__(self, pieces: int, size: int) -> None:
        self._pieces, self._size = pieces, size
        self.ended = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for left in range(self._pieces, 0, -1):
                await send({"type": "http.response.body", "body": b"x" * self._size, "more_body": left > 1})
        finally:
            self.ended.set()


@pytest.mark.parametrize(("pieces", "size"), [(1000, 100_000), (1, 50_000_000)], ids=["stream", "whole"])
async def test_a_client_that_does_not_read_is_cut_off(pieces: int, size: int) -> None:
    """Its answer would hold memory, and a place at the upstream."""
    cut: list[Reason] = []
    application = Pouring(pieces, size)
    async with serving(ConnectionLimits(write_s=0.2), application=application, cuts=Cuts(cut.append)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET % b"1")
        async with asyncio.timeout(10):
            await application.ended.wait()
            while not cut:
                await asyncio.sleep(0.01)
            received = 0
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(1 << 20):
                    received += len(piece)
        writer.close()
    assert cut == ["slow reader"] and received < pieces * size


async def test_a_client_that_reads_slowly_gets_all_of_its_answer() -> None:
    """It takes its share in time."""
    size, pieces = 8 * TAKEN_BYTES, 20
    async with serving(ConnectionLimits(write_s=0.5), application=Pouring(pieces, size)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(LAST % b"1")
        received = 0
        async with asyncio.timeout(30):
            while piece := await reader.read(4 * TAKEN_BYTES):
                received += len(piece)
                await asyncio.sleep(0.02)
        writer.close()
    assert received > pieces * size


async def test_a_reader_is_not_slower_than_the_upstream_may_be() -> None:
    """However steadily it reads: a transaction may have a time by which the answer must be taken."""
    cut: list[Reason] = []
    pouring = Pouring(10_000, 100_000)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope[TRANSACTION].due = asyncio.get_running_loop().time() + 0.3
        await pouring(scope, receive, send)

    limits = ConnectionLimits(silence_s=0.1)
    async with serving(limits, application=application, cuts=Cuts(cut.append)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET % b"1")
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while await reader.read(200_000):
                    await asyncio.sleep(0.01)
            await pouring.ended.wait()
        writer.close()
    assert cut == ["slow reader"]


async def test_a_full_house_makes_room_for_a_newcomer() -> None:
    """Half-heads and idle connections go, the longest idle first; requests under way stay."""
    go_on = asyncio.Event()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await go_on.wait()
        await path_of(scope, receive, send)

    cut: list[Reason] = []
    limits = ConnectionLimits(connections=3)
    async with serving(limits, application=application, cuts=Cuts(cut.append)) as port:
        slow = await asyncio.open_connection("127.0.0.1", port)
        slow[1].write(LAST % b"slow")
        halves = []
        for _ in range(2):
            halves.append(await asyncio.open_connection("127.0.0.1", port))
            halves[-1][1].write(HEAD)
            await halves[-1][1].drain()
            await asyncio.sleep(0.05)
        assert bodies(await said(port, LAST % b"1")) == [b"/1"]
        assert await halves[0][0].read() == b""
        go_on.set()
        assert bodies(await slow[0].read()) == [b"/slow"]
        for _, writer in (slow, *halves):
            writer.close()
    assert cut == ["crowded out"]


async def test_a_house_full_of_requests_refuses_a_newcomer() -> None:
    """503 in OpenAI's shape, at once; whoever is served already is served on."""
    go_on = asyncio.Event()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await go_on.wait()
        await path_of(scope, receive, send)

    cut: list[Reason] = []
    async with serving(ConnectionLimits(connections=1), application=application, cuts=Cuts(cut.append)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(LAST % b"1")
        await writer.drain()
        await asyncio.sleep(0.05)
        status, error = refusal(await said(port))
        go_on.set()
        assert bodies(await reader.read()) == [b"/1"]
        writer.close()
    assert (status, error["code"], cut) == (503, "too_many_connections", ["no room"])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nHOST: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 400),
        (b"GET / HTTP/0.9\r\nhost: a\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
async def test_an_ambiguous_head_is_refused(head: bytes, status: int) -> None:
    """Another server in the chain could read it in another way."""
    seen: list[str] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    async with serving(application=application) as port:
        assert refusal(await said(port, head))[0] == 400
    assert seen == []


async def test_an_early_answer_to_a_client_that_waits_to_send_its_body_ends_the_connection() -> None:
    """What follows may be the body or another request."""
    request = b"POST /1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 44\r\n\r\n"
    async with serving(application=path_of) as port:
        answer = await said(port, request + LAST % b"2")
    assert answer.count(b"HTTP/1.1") == 1 and b"connection: close" in answer


async def test_a_lost_connection_is_gone_at_once() -> None:
    """With everything of its last request: it does not wait for the garbage collector."""
    config = uvicorn.Config(echo, ws="none", lifespan="off", log_config=None)
    config.load()
    connection, client = HttpProtocol(config, ServerState(), {}), Far()
    connection.connection_made(client)
    connection.data_received(HEAD + b"content-length: 2\r\n\r\nab")
    async with asyncio.timeout(10):
        while not client.got.endswith(b"2"):
            await asyncio.sleep(0)
    gone = weakref.ref(connection)
    gc.disable()
    try:
        connection.connection_lost(None)
        del connection
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()
