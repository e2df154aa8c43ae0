"""What every wire promises: one table of what servers do, and which of httpx's errors or replies comes of it.

Real sockets, through httpx's seam, which is the thinnest of layers over ``Wire.send``. The twin tests of the wires run
it: each subclasses ``WireContract`` and gives the fixture ``transport``, a wire of ten connections.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.upstream.wire import Origin, Request, Wire
from optimizer.demo.loopback import Connection, loopback_server
from tests.fakes import free_port, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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


def floods(answer: bytes, more: bytes) -> Connection:
    """A server that answers with these bytes and then with more and more, until the connection is closed."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        while True:
            writer.write(more)
            await writer.drain()

    return handle


async def keeps_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that answers every request of a connection with ``ok``."""
    while True:
        await read_request(reader)
        writer.write(OK)


def request(url: str, **timeout: float) -> httpx.Request:
    return httpx.Request("POST", url + "/echo", content=b"{}", extensions={"timeout": timeout})


async def ask(transport: Wire, sent: httpx.Request) -> tuple[int, bytes]:
    """Send a request and read its reply to the end."""
    response = await transport.handle_async_request(sent)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        return response.status_code, b"".join([piece async for piece in response.stream])
    finally:
        await response.stream.aclose()


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


async def keeps_alive_without_bodies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that answers every request of a connection with the head of ``ok``."""
    while True:
        await read_request(reader)
        writer.write(OK[:-2])


REPLIES = {
    "sized": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello",
    ),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello"),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "chunks with extensions and trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", 200, b"hello",
    ),
    "of length 0": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
    "in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
    "without a reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "not modified, with the length of what it has not": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"",
    ),
    "after two early hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK, 200, b"ok",
    ),
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
    "a length that is none": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"), httpx.RemoteProtocolError),
    "a status of letters": (says(b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok"), httpx.RemoteProtocolError),
    "a header without end": (floods(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000), httpx.RemoteProtocolError),
    "headers without end": (floods(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 100), httpx.RemoteProtocolError),
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


class WireContract:
    """The specification."""

    @pytest.mark.parametrize("case", REPLIES)
    async def test_a_reply_arrives_as_it_was_sent(self, transport: Wire, case: str) -> None:
        """Status and bytes of every well-formed reply are those of the server."""
        answer, status, body = REPLIES[case]
        async with loopback_server(says(answer)) as url:
            assert await ask(transport, request(url)) == (status, body)

    @pytest.mark.parametrize("case", FAILURES)
    async def test_a_failure_is_one_of_httpx_s_errors(self, transport: Wire, case: str) -> None:
        """Whatever a server does, httpx's error for it is raised, names its request, and the next request is served."""
        handle, expected = FAILURES[case]
        async with loopback_server(handle) as url, loopback_server(keeps_alive) as healthy:
            sent = request(url, read=0.05 if "silence" in case else 5)
            with pytest.raises(expected) as raised:
                await ask(transport, sent)
            assert raised.value.request is sent
            assert await ask(transport, request(healthy)) == (200, b"ok")

    async def test_a_refused_connection_is_a_connect_error(self, transport: Wire) -> None:
        """Nobody listens: ``ConnectError``, not a time-out."""
        with pytest.raises(httpx.ConnectError):
            await ask(transport, request(f"http://127.0.0.1:{free_port()}", connect=5))

    async def test_an_unknown_host_is_a_connect_error(self, transport: Wire) -> None:
        """A name that has no address: ``ConnectError``."""
        with pytest.raises(httpx.ConnectError):
            await ask(transport, request("http://nobody.invalid"))

    async def test_a_closed_transport_says_so(self, transport: Wire) -> None:
        """After ``aclose`` nothing is opened anew: ``ConnectError``."""
        await transport.aclose()
        with pytest.raises(httpx.ConnectError, match="closed"):
            await ask(transport, request("http://127.0.0.1:9"))

    async def test_a_span_s_place_is_a_header_like_any_other(self, transport: Wire) -> None:
        """``Request.traceparent``; without one there is no such header."""
        seen: list[str | None] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append((await read_request(reader))[1].get("traceparent"))
            writer.write(OK)
            writer.close()

        async with loopback_server(handle) as url:
            address = httpx.URL(url)
            for place in (b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b""):
                sent = Request(
                    origin=Origin.of(address), method="GET", target=b"/", headers=((b"host", address.netloc),),
                    traceparent=place,
                )  # fmt: skip
                answer = await transport.send(sent)
                answer.close()
        assert seen == [f"00-{'a' * 32}-{'b' * 16}-01", None]

    async def test_connections_are_kept_alive(self, transport: Wire) -> None:
        """Requests one after the other share a connection."""
        server = Counted(lambda connection, number, writer: answers(writer))
        async with loopback_server(server) as url:
            for _ in range(5):
                await ask(transport, request(url))
        assert (server.connections, server.requests) == (1, 5)

    async def test_a_connection_that_the_server_closed_while_idle_is_not_used(self, transport: Wire) -> None:
        """The server closes after its first answer without a word; the next request goes to a new connection."""

        def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
            writer.write(OK)
            return False

        server = Counted(script)
        async with loopback_server(server) as url:
            for _ in range(5):
                assert await ask(transport, request(url)) == (200, b"ok")
        assert (server.connections, server.requests) == (5, 5)

    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    async def test_a_request_lost_in_a_reused_connection_is_sent_again(self, transport: Wire, reset: bool) -> None:
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
        async with loopback_server(server) as url:
            await asyncio.gather(*(ask(transport, request(url)) for _ in range(4)))
            assert await ask(transport, request(url)) == (200, b"ok")
        assert (server.connections, server.requests) == (5, 6)

    async def test_a_request_is_sent_again_once_only(self, transport: Wire) -> None:
        """If the fresh connection is lost, too, the caller hears of it."""

        def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
            return connection == 1 and number == 1 and answers(writer)

        server = Counted(script)
        async with loopback_server(server) as url:
            await ask(transport, request(url))
            with pytest.raises(httpx.ReadError):
                await ask(transport, request(url))
        assert server.requests == 3

    async def test_a_request_lost_in_a_fresh_connection_is_not_sent_again(self, transport: Wire) -> None:
        """A server that took a request on a new connection may have worked on it."""
        server = Counted(lambda connection, number, writer: False)
        async with loopback_server(server) as url:
            with pytest.raises(httpx.ReadError):
                await ask(transport, request(url))
        assert server.requests == 1

    async def test_a_request_that_may_arrive_once_only_has_a_fresh_connection(self, transport: Wire) -> None:
        """So it cannot be lost in one that the server is closing, and there is no reason to repeat it."""
        server = Counted(lambda connection, number, writer: answers(writer))
        async with loopback_server(server) as url:
            await ask(transport, request(url))
            for _ in range(2):
                answer = await transport.send(
                    Request(
                        origin=Origin.of(httpx.URL(url)),
                        method="POST",
                        target=b"/v1/files",
                        headers=((b"host", b"x"),),
                        body=b"{}",
                        once=True,
                    )
                )
                while await answer.piece(5):
                    pass
                answer.close()
        assert (server.connections, server.requests) == (3, 3)

    @pytest.mark.parametrize(
        "answer",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nConte", b"nonsense\r\n\r\n"],
        ids=["a cut body", "a cut head", "garbage"],
    )
    async def test_a_request_that_was_answered_at_all_is_not_sent_again(self, transport: Wire, answer: bytes) -> None:
        """Once a response has begun, its connection's end is an error, reused or not."""

        def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
            if number == 1:
                return answers(writer)
            writer.write(answer)
            return False

        server = Counted(script)
        async with loopback_server(server) as url:
            await ask(transport, request(url))
            with pytest.raises(httpx.TransportError):
                await ask(transport, request(url))
        assert server.requests == 2

    async def test_a_request_that_timed_out_is_not_sent_again(self, transport: Wire) -> None:
        """Silence on a reused connection is not a lost request: the server may be working."""
        server = Counted(lambda connection, number, writer: answers(writer) if number == 1 else True)
        async with loopback_server(server) as url:
            await ask(transport, request(url))
            with pytest.raises(httpx.ReadTimeout):
                await ask(transport, request(url, read=0.05))
        assert server.requests == 2

    async def test_no_cookie_is_kept(self, transport: Wire) -> None:
        """What one reply sets no other request carries: callers share the transport."""

        def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=alice; Path=/\r\n\r\n"))
            return True

        server = Counted(script)
        async with loopback_server(server) as url:
            await ask(transport, request(url))
            await ask(transport, request(url))
        assert all("cookie" not in headers for headers in server.headers)

    async def test_no_proxy_is_taken_from_the_environment(
        self, transport: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Upstreams are reached as the configuration says, whatever ``HTTP_PROXY`` says."""
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        async with loopback_server(says(OK)) as url:
            assert await ask(transport, request(url)) == (200, b"ok")

    async def test_five_hundred_cancelled_requests_leave_the_pool_as_it_was(self, transport: Wire) -> None:
        """Callers that give up, wherever they are, do not use the pool up, and the server sees every one of them go.

        Ten connections still serve ten requests at once. A request to ``/hang`` gets no answer.
        """
        arrived = asyncio.Semaphore(0)
        hanging = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal hanging
            while True:
                line, _, _ = await read_request(reader)
                if "hang" not in line:
                    writer.write(OK)
                    continue
                hanging += 1
                arrived.release()
                try:
                    await reader.read()
                finally:
                    hanging -= 1
                return

        async with loopback_server(handle) as url:
            for count in range(500):
                path = "/hang" if count % 2 else "/echo"
                task = asyncio.create_task(ask(transport, httpx.Request("POST", url + path, content=b"{}")))
                if count % 10 == 1:
                    await arrived.acquire()
                else:
                    for _ in range(count % 13):  # a step further each time: connecting, writing, waiting, reading
                        await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            async with asyncio.timeout(30):
                replies = await asyncio.gather(*(ask(transport, request(url)) for _ in range(10)))
                while hanging:
                    await asyncio.sleep(0.001)
        assert replies == [(200, b"ok")] * 10

    async def test_a_caller_that_waits_for_its_turn_may_be_cancelled(self, transport: Wire) -> None:
        """Its turn is nobody's loss."""
        release = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_request(reader)
                await release.wait()
                writer.write(OK)

        async with loopback_server(handle) as url:
            asked = [asyncio.create_task(ask(transport, request(url))) for _ in range(30)]
            for _ in range(20):
                await asyncio.sleep(0)
            for task in asked[10:20]:
                task.cancel()
            release.set()
            async with asyncio.timeout(30):
                replies = await asyncio.gather(*asked, return_exceptions=True)
        assert replies[:10] + replies[20:] == [(200, b"ok")] * 20

    async def test_a_head_request_has_an_answer_without_a_body(self, transport: Wire) -> None:
        """A length that is announced for HEAD is not waited for, and what follows is another answer."""
        async with loopback_server(keeps_alive_without_bodies) as url:
            for _ in range(2):
                head = httpx.Request("HEAD", url, extensions={"timeout": {"read": 5}})
                assert await ask(transport, head) == (200, b"")

    async def test_a_server_that_says_close_is_taken_at_its_word(self, transport: Wire) -> None:
        """``Connection: close`` ends a connection from this side, even if the server forgets to."""

        def script(connection: int, number: int, writer: asyncio.StreamWriter) -> bool:
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return True

        server = Counted(script)
        async with loopback_server(server) as url:
            for _ in range(3):
                assert await ask(transport, request(url)) == (200, b"ok")
        assert (server.connections, server.requests) == (3, 3)

    @pytest.mark.parametrize("late", [False, True], ids=["in the same packet", "while the connection rests"])
    async def test_what_nobody_asked_for_is_not_the_next_answer(self, transport: Wire, late: bool) -> None:
        """Bytes behind an answer make a connection useless: they must not reach another caller."""
        written = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_request(reader)
                writer.write(OK)
                if late:
                    await asyncio.sleep(0.01)
                writer.write(OK.replace(b"ok", b"no"))
                written.set()

        async with loopback_server(handle) as url:
            for _ in range(3):
                written.clear()
                assert await ask(transport, request(url)) == (200, b"ok")
                await written.wait()
                for _ in range(5):  # in which it arrives
                    await asyncio.sleep(0.001)

    async def test_an_answer_may_come_before_all_of_the_request_was_sent(self, transport: Wire) -> None:
        """A server that refuses a large body without reading it is heard, and its connection is not used again."""
        connections = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            await asyncio.Event().wait()

        async with loopback_server(handle) as url:
            for _ in range(2):
                sent = httpx.Request("POST", url, content=b"x" * 50_000_000, extensions={"timeout": {"read": 5}})
                assert await ask(transport, sent) == (413, b"no")
        assert connections == 2

    async def test_a_slow_reader_stops_the_server(self, transport: Wire) -> None:
        """What is not read stays with the server, but for the buffers of the system; then all of it arrives."""
        written, piece, pieces = 0, b"x" * 100_000, 1000

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * pieces))
            for _ in range(pieces):
                writer.write(piece)
                await writer.drain()
                written += len(piece)
            await reader.read()

        async with loopback_server(handle) as url:
            response = await transport.handle_async_request(request(url))
            assert isinstance(response.stream, httpx.AsyncByteStream)
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.1)
            assert written < len(piece) * pieces // 2
            assert sum([len(part) async for part in response.stream]) == len(piece) * pieces
            await response.stream.aclose()

    @pytest.mark.parametrize("bad", ["a\r\nx-forged: 1", "a\nb", "a\rb"])
    async def test_a_header_cannot_become_two(self, transport: Wire, bad: str) -> None:
        """A line break in a value is refused before anything is sent."""
        server = Counted(lambda connection, number, writer: answers(writer))
        async with loopback_server(server) as url:
            with pytest.raises(httpx.ProtocolError):
                await ask(transport, httpx.Request("POST", url, headers={"x-test": bad}, content=b"{}"))
        assert server.requests == 0

    async def test_closing_an_unread_reply_closes_its_connection(self, transport: Wire) -> None:
        """The server learns at once that nobody reads on, so it can stop generating."""
        noticed = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            noticed.set()

        async with loopback_server(handle) as url:
            response = await transport.handle_async_request(request(url))
            assert isinstance(response.stream, httpx.AsyncByteStream)
            await response.stream.aclose()
            async with asyncio.timeout(10):
                await noticed.wait()

    async def test_it_is_a_transport_for_any_httpx_client(self, transport: Wire) -> None:
        """``httpx.AsyncClient`` gets and posts, sized and streamed, over it."""

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                line, headers, body = await read_request(reader)
                text = f"{line} | {headers.get('x-test')} | ".encode() + body
                writer.write(
                    b"HTTP/1.1 200 OK\r\nX-Was: 1\r\nX-Was: 2\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
                )

        async def pieces() -> AsyncIterator[bytes]:
            yield b"in "
            yield b"pieces"

        async with loopback_server(echo) as url, httpx.AsyncClient(transport=transport, base_url=url) as client:
            got = await client.get("/a b?q=%2F", headers={"x-test": "yes"})
            assert got.text == "GET /v1/a%20b?q=%2F HTTP/1.1 | yes | "
            assert got.headers.get_list("x-was") == ["1", "2"]
            assert (await client.post("/p", content=b"whole")).text == "POST /v1/p HTTP/1.1 | None | whole"
            assert (await client.post("/p", content=pieces())).text == "POST /v1/p HTTP/1.1 | None | in pieces"
            async with client.stream("POST", "/p", json={}) as streamed:
                assert await streamed.aread() == b"POST /v1/p HTTP/1.1 | None | {}"
