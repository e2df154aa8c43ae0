"""The transport against real sockets: one table of what servers do, and which of httpx's errors or replies comes of it.

Any transport that takes this one's place must pass the same table.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.upstream.transport import AiohttpTransport
from tests.fakes import Connection, free_port, raw_server, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    made = AiohttpTransport(max_connections=10)
    yield made
    await made.aclose()


def says(answer: bytes, *, reset: bool = False) -> Connection:
    """A server that answers one request with these bytes and closes, or resets, the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        if reset:
            writer.transport.abort()

    return handle


def hangs_after(answer: bytes) -> Connection:
    """A server that answers with these bytes and then says nothing more until the connection is closed."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await reader.read()

    return handle


async def keeps_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that answers every request of a connection with ``ok``."""
    while True:
        await read_request(reader)
        writer.write(OK)


def request(url: str, **timeout: float) -> httpx.Request:
    return httpx.Request("POST", url + "/echo", content=b"{}", extensions={"timeout": timeout})


async def ask(transport: AiohttpTransport, sent: httpx.Request) -> tuple[int, bytes]:
    """Send a request and read its reply to the end."""
    response = await transport.handle_async_request(sent)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        return response.status_code, b"".join([piece async for piece in response.stream])
    finally:
        await response.stream.aclose()


REPLIES = {
    "sized": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello",
    ),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello"),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "after 100 Continue": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok",
    ),
    "an error status": (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", 503, b"busy"),
    "a redirect, which is not followed": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", 302, b"",
    ),
    "a coding, which is left alone": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", 200, b"\x1f\x8b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REPLIES)
async def test_a_reply_arrives_as_it_was_sent(transport: AiohttpTransport, case: str) -> None:
    """Status and bytes of every well-formed reply are those of the server."""
    answer, status, body = REPLIES[case]
    async with raw_server(says(answer)) as url:
        assert await ask(transport, request(url)) == (status, body)


FAILURES: dict[str, tuple[Connection, type[httpx.TransportError]]] = {
    "closed before a status": (says(b""), httpx.ReadError),
    "reset before a status": (says(b"", reset=True), httpx.ReadError),
    "closed in the status line": (says(b"HTTP/1.1 2"), httpx.ReadError),
    "closed in the headers": (says(b"HTTP/1.1 200 OK\r\nContent-Le"), httpx.ReadError),
    "a status line that is not HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), httpx.RemoteProtocolError),
    "binary garbage": (says(bytes(range(256))), httpx.RemoteProtocolError),
    "two lengths": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), httpx.RemoteProtocolError,
    ),
    "a length that lies": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"), httpx.ReadError),
    "a body that is reset": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", reset=True), httpx.ReadError),
    "a chunked body that is cut": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), httpx.ReadError,
    ),
    "a chunk size that is none": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n"), httpx.TransportError,
    ),
    "silence before a status": (hangs_after(b""), httpx.ReadTimeout),
    "silence in the headers": (hangs_after(b"HTTP/1.1 200 OK\r\n"), httpx.ReadTimeout),
    "silence in the body": (hangs_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), httpx.ReadTimeout),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
async def test_a_failure_is_one_of_httpx_s_errors(transport: AiohttpTransport, case: str) -> None:
    """Whatever a server does, httpx's error for it is raised, names its request, and the next request is served."""
    handle, expected = FAILURES[case]
    async with raw_server(handle) as url, raw_server(keeps_alive) as healthy:
        sent = request(url, read=0.05)
        with pytest.raises(expected) as raised:
            await ask(transport, sent)
        assert raised.value.request is sent
        assert await ask(transport, request(healthy)) == (200, b"ok")


async def test_a_refused_connection_is_a_connect_error(transport: AiohttpTransport) -> None:
    """Nobody listens: ``ConnectError``, not a time-out."""
    with pytest.raises(httpx.ConnectError):
        await ask(transport, request(f"http://127.0.0.1:{free_port()}", connect=5))


async def test_an_unknown_host_is_a_connect_error(transport: AiohttpTransport) -> None:
    """A name that has no address: ``ConnectError``."""
    with pytest.raises(httpx.ConnectError):
        await ask(transport, request("http://nobody.invalid"))


async def test_a_connection_that_is_not_accepted_is_a_connect_time_out(transport: AiohttpTransport) -> None:
    """A TLS handshake that never ends counts as connecting: ``ConnectTimeout``."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as url:
        with pytest.raises(httpx.ConnectTimeout):
            await ask(transport, request(url.replace("http:", "https:"), connect=0.05))


async def test_a_server_that_speaks_no_tls_is_a_connect_error(transport: AiohttpTransport) -> None:
    """``https`` to a plain server: ``ConnectError``."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)

    async with raw_server(plain) as url:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, request(url.replace("http:", "https:")))


async def test_a_closed_transport_says_so(transport: AiohttpTransport) -> None:
    """After ``aclose`` nothing is opened anew: ``ConnectError``."""
    await transport.aclose()
    with pytest.raises(httpx.ConnectError, match="closed"):
        await ask(transport, request("http://127.0.0.1:9"))


class Counted:
    """Counts the connections and requests of a server; ``script`` answers request ``n`` of connection ``c``."""

    def __init__(self, script: Callable[[int, int, asyncio.StreamWriter], bool]) -> None:
        self._script = script
        self.connections = 0
        self.requests = 0
        self.headers: list[dict[str, str]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection, number = self.connections, 0
        while True:
            _, headers, _ = await read_request(reader)
            self.requests += 1
            self.headers.append(headers)
            number += 1
            if not self._script(connection, number, writer):
                return


def answers(writer: asyncio.StreamWriter) -> bool:
    writer.write(OK)
    return True


async def test_connections_are_kept_alive(transport: AiohttpTransport) -> None:
    """Requests one after the other share a connection."""
    server = Counted(lambda connection, number, writer: answers(writer))
    async with raw_server(server) as url:
        for _ in range(5):
            await ask(transport, request(url))
    assert (server.connections, server.requests) == (1, 5)


async def test_a_connection_that_the_server_closed_while_idle_is_not_used(transport: AiohttpTransport) -> None:
    """The server closes after its first answer without having said so; the next request goes to a new connection."""

    def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
        writer.write(OK)
        return False

    server = Counted(script)
    async with raw_server(server) as url:
        for _ in range(5):
            assert await ask(transport, request(url)) == (200, b"ok")
    assert (server.connections, server.requests) == (5, 5)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_request_lost_in_a_reused_connection_is_sent_again(transport: AiohttpTransport, reset: bool) -> None:
    """A server that closes a kept-alive connection as a request arrives costs the caller nothing.

    The second attempt is made on a connection that carried nothing before, however many stale ones lie in the pool.
    """

    first: list[asyncio.StreamWriter] = []

    def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
        if number == 1 and connection <= 4:
            first.append(writer)
            if len(first) == 4:  # answered together, so that each has a connection of its own
                for waiting in first:
                    answers(waiting)
            return True
        if number == 1:
            return answers(writer)
        if reset:
            writer.transport.abort()
        return False

    server = Counted(script)
    async with raw_server(server) as url:
        await asyncio.gather(*(ask(transport, request(url)) for _ in range(4)))
        assert await ask(transport, request(url)) == (200, b"ok")
    assert (server.connections, server.requests) == (5, 6)


async def test_a_request_is_sent_again_once_only(transport: AiohttpTransport) -> None:
    """If the fresh connection is lost, too, the caller hears of it."""

    def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
        return connection == 1 and number == 1 and answers(writer)

    server = Counted(script)
    async with raw_server(server) as url:
        await ask(transport, request(url))
        with pytest.raises(httpx.ReadError):
            await ask(transport, request(url))
    assert server.requests == 3


async def test_a_request_lost_in_a_fresh_connection_is_not_sent_again(transport: AiohttpTransport) -> None:
    """A server that took a request on a new connection may have worked on it."""
    server = Counted(lambda connection, number, writer: False)
    async with raw_server(server) as url:
        with pytest.raises(httpx.ReadError):
            await ask(transport, request(url))
    assert server.requests == 1


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", b"nonsense\r\n\r\n"],
    ids=["a cut body", "garbage"],
)
async def test_a_request_that_was_answered_at_all_is_not_sent_again(transport: AiohttpTransport, answer: bytes) -> None:
    """Once a response has begun, its connection's end is an error, reused or not."""

    def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
        if number == 1:
            return answers(writer)
        writer.write(answer)
        return False

    server = Counted(script)
    async with raw_server(server) as url:
        await ask(transport, request(url))
        with pytest.raises(httpx.TransportError):
            await ask(transport, request(url))
    assert server.requests == 2


async def test_a_request_that_timed_out_is_not_sent_again(transport: AiohttpTransport) -> None:
    """Silence on a reused connection is not a lost request: the server may be working."""
    server = Counted(lambda connection, number, writer: answers(writer) if number == 1 else True)
    async with raw_server(server) as url:
        await ask(transport, request(url))
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, request(url, read=0.05))
    assert server.requests == 2


async def test_a_streamed_body_is_not_sent_again(transport: AiohttpTransport) -> None:
    """A request whose body has been consumed cannot be repeated: the error is the caller's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{"
        yield b"}"

    server = Counted(lambda connection, number, writer: number == 1 and answers(writer))
    async with raw_server(server) as url:
        await ask(transport, request(url))
        with pytest.raises(httpx.ReadError):
            await ask(transport, httpx.Request("POST", url, content=pieces()))
    assert server.requests == 2


async def test_no_cookie_is_kept(transport: AiohttpTransport) -> None:
    """What one reply sets no other request carries: callers share the transport."""

    def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=alice; Path=/\r\n\r\n"))
        return True

    server = Counted(script)
    async with raw_server(server) as url:
        await ask(transport, request(url))
        await ask(transport, request(url))
    assert all("cookie" not in headers for headers in server.headers)


async def test_no_proxy_is_taken_from_the_environment(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstreams are reached as the configuration says, whatever ``HTTP_PROXY`` says."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with raw_server(says(OK)) as url:
        assert await ask(transport, request(url)) == (200, b"ok")


async def test_two_hundred_cancelled_requests_leave_the_pool_as_it_was(transport: AiohttpTransport) -> None:
    """Callers that give up before the reply do not use the pool up: 10 connections still serve 10 at once."""
    arrived = asyncio.Semaphore(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line, _, _ = await read_request(reader)
            if "hang" not in line:
                writer.write(OK)
                continue
            arrived.release()
            await reader.read()
            return

    async with raw_server(handle) as url:
        for count in range(200):
            task = asyncio.create_task(ask(transport, httpx.Request("POST", url + "/hang", content=b"{}")))
            if count % 2:  # every other one is cancelled while it connects
                await arrived.acquire()
            else:
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        async with asyncio.timeout(5):
            replies = await asyncio.gather(*(ask(transport, request(url)) for _ in range(10)))
    assert replies == [(200, b"ok")] * 10


async def test_closing_an_unread_reply_closes_its_connection(transport: AiohttpTransport) -> None:
    """The server learns at once that nobody reads on, so it can stop generating."""
    noticed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        noticed.set()

    async with raw_server(handle) as url:
        response = await transport.handle_async_request(request(url))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        await response.stream.aclose()
        async with asyncio.timeout(1):
            await noticed.wait()


async def test_it_is_a_transport_for_any_httpx_client(transport: AiohttpTransport) -> None:
    """``httpx.AsyncClient`` gets and posts, sized and streamed, over it."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line, headers, body = await read_request(reader)
            text = f"{line} | {headers.get('x-test')} | ".encode() + body
            writer.write(b"HTTP/1.1 200 OK\r\nX-Was: 1\r\nX-Was: 2\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"in "
        yield b"pieces"

    async with raw_server(echo) as url, httpx.AsyncClient(transport=transport, base_url=url) as client:
        got = await client.get("/a b?q=%2F", headers={"x-test": "yes"})
        assert got.text == "GET /v1/a%20b?q=%2F HTTP/1.1 | yes | "
        assert got.headers.get_list("x-was") == ["1", "2"]
        assert (await client.post("/p", content=b"whole")).text == "POST /v1/p HTTP/1.1 | None | whole"
        assert (await client.post("/p", content=pieces())).text == "POST /v1/p HTTP/1.1 | None | in pieces"
        async with client.stream("POST", "/p", json={}) as streamed:
            assert await streamed.aread() == b"POST /v1/p HTTP/1.1 | None | {}"
