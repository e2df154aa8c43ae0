"""The server's side of a connection: bounded heads, no endless waiting, and refusals that a client can read."""

import asyncio
import contextlib
from typing import Any

import pytest

from gateway.http_server.connection import MAX_HEAD, HttpProtocol
from tests.connections import GET, HEAD, LAST, bodies, measured, path_of, refusal, said, serving

CHUNKED = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"


class Impatient(HttpProtocol):
    """Waits for a silent client as long as a test can."""

    silence_s = 0.1


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
