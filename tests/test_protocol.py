"""The server's side of a connection: bounded heads, no endless waiting, and refusals that a client can read."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.listener import bind
from gateway.protocol import MAX_HEAD, HttpProtocol

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


class Impatient(HttpProtocol):
    """Waits for a silent client as long as a test can."""

    silence_s = 0.1


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with the length of the body, once it is there."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(str(size)))]})
    await send({"type": "http.response.body", "body": str(size).encode(), "more_body": False})


@contextlib.asynccontextmanager
async def serving(protocol: type[HttpProtocol] = HttpProtocol, *, application: Any = echo) -> AsyncIterator[int]:
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(application, http=protocol, ws="none", lifespan="off", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listener.close()


async def said(port: int, *sent: bytes, pause_s: float = 0.0) -> bytes:
    """All that the server says to these bytes until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in sent:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def refusal(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Status and error of a refusal."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "sent", [b"", HEAD, HEAD + b"content-length: 9\r\n\r\nhalf"], ids=["nothing", "half a head", "half a body"]
)
async def test_a_client_that_falls_silent_is_not_waited_for(sent: bytes) -> None:
    """Its connection would hold memory, and the shutdown, for ever."""
    async with serving(Impatient) as port:
        assert refusal(await said(port, sent))[0] == 408


async def test_a_slow_client_is_waited_for() -> None:
    """What counts is silence, not the whole time."""
    body = [bytes([letter]) for letter in b"slowly does it"]
    async with serving(Impatient) as port:
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


GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /%b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def path_of(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with the path, after a moment; the earlier it was asked, the longer that is."""
    number = scope["path"].removeprefix("/")
    await asyncio.sleep(0.02 / int(number) if number.isdecimal() else 0)
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def bodies(answer: bytes) -> list[bytes]:
    """The bodies of some responses in a row."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        size = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        found.append(rest[:size])
        answer = rest[size:]
    return found


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """Also where they arrive at once and the first one takes longest."""
    async with serving(application=path_of) as port:
        answer = await said(port, GET % b"1" + GET % b"2" + LAST % b"3")
    assert bodies(answer) == [b"/1", b"/2", b"/3"]


async def test_what_follows_a_last_request_is_ignored() -> None:
    """It does not spoil the answer to the one before."""
    async with serving(application=path_of) as port:
        assert bodies(await said(port, LAST % b"1" + b"what is this?\r\n\r\n")) == [b"/1"]


async def test_nonsense_behind_a_request_ends_the_connection_with_its_answer() -> None:
    """A refusal in between would be taken for the answer."""
    async with serving(application=path_of) as port:
        assert bodies(await said(port, GET % b"1" + b"what is this?\r\n\r\n")) == [b"/1"]


@pytest.mark.parametrize("offer", [b"websocket", b"h2c"])
async def test_an_offer_to_speak_something_else_is_not_taken_up(offer: bytes) -> None:
    """The request that makes it is answered, and so is the next one."""
    offering = b"GET /1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: " + offer + b"\r\n\r\n"
    async with serving(application=path_of) as port:
        assert bodies(await said(port, offering + LAST % b"2")) == [b"/1", b"/2"]


async def test_an_offer_does_not_cost_the_request_its_body() -> None:
    """Clients that know HTTP/2 make one with their first request, whatever that is."""
    offering = HEAD + b"connection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    async with serving() as port:
        assert bodies(await said(port, offering + b"content-length: 4\r\n\r\nb", b"ody")) == [b"4"]


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


class Forgetful(HttpProtocol):
    """Keeps a connection as long as a test can wait."""

    silence_s = 0.05
    kept_s = 0.1


async def test_a_connection_that_nobody_uses_is_closed() -> None:
    """Without a word: the client owes nothing."""
    async with serving(Forgetful, application=path_of) as port:
        assert bodies(await said(port, GET % b"1")) == [b"/1"]


async def test_a_client_is_not_called_silent_while_it_waits_for_its_answer() -> None:
    """However long that takes."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await path_of(scope, receive, send)

    async with serving(Forgetful, application=application) as port:
        assert bodies(await said(port, LAST % b"1")) == [b"/1"]


async def test_an_answer_that_comes_before_the_end_of_the_request_is_not_followed_by_a_refusal() -> None:
    """The rest of the body is ignored, and the client's silence ends the connection."""
    async with serving(Impatient, application=path_of) as port:
        assert bodies(await said(port, b"POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")) == [b"/1"]


class Far(asyncio.Transport):
    """The client's end of a connection without a socket: keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.got = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.got += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def measured(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with method, path and body."""
    body = b""
    while (message := await receive())["more_body"]:
        body += message["body"]
    told = f"{scope['method']} {scope['path']} ".encode() + body + message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told, "more_body": False})


def answered(pieces: list[bytes]) -> bytes:
    """What a connection answers to bytes that arrive in these pieces."""

    async def play() -> bytes:
        config = uvicorn.Config(measured, http=HttpProtocol, ws="none", lifespan="off", log_config=None)
        config.load()
        connection, client = HttpProtocol(config, ServerState(), {}), Far()
        connection.connection_made(client)
        for piece in pieces:
            if not client.closed:
                connection.data_received(piece)
            await asyncio.sleep(0)
        while not client.closed:
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return client.got

    return asyncio.run(play())


ROW = (
    GET % b"a"
    + HEAD
    + b"content-length: 4\r\n\r\nbody"
    + HEAD
    + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    + HEAD
    + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nxyz"
    + LAST % b"z"
)


@given(st.lists(st.integers(1, len(ROW) - 1), max_size=12, unique=True).map(sorted))
def test_it_does_not_matter_how_requests_were_cut_on_the_way(cuts: list[int]) -> None:
    """Wherever the network, or somebody who means no good, has cut them."""
    pieces = [ROW[start:end] for start, end in zip([0, *cuts], [*cuts, len(ROW)], strict=True)]
    assert bodies(answered(pieces)) == [b"GET /a ", b"POST / body", b"POST / abcde", b"POST / xyz", b"GET /z "]
