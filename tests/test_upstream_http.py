"""An upstream over HTTP: exactly what it sends, and which of our errors comes of whatever the other side does."""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from gateway import __version__
from gateway.errors import (
    BadRequest,
    ConfigurationError,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import OpenAISettings
from gateway.upstream.base import Call, Upstream
from gateway.upstream.http import HttpUpstream
from optimizer.demo.loopback import loopback_server
from tests.fakes import free_port, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
CALL = Call(model="tiny", body=b'{"model":"tiny"}')
STREAM = msgspec.structs.replace(CALL, stream=True)
SECRET = "sk-secret"
Sent = tuple[str, dict[str, str], bytes]
BRIEF = 0.05
"""Seconds of a time-out that a test lets run out."""


@contextlib.asynccontextmanager
async def upstream(url: str, api_key: str | None = None, **more: Any) -> AsyncIterator[HttpUpstream]:
    made = HttpUpstream.of("mock", OpenAISettings(base_url=url, api_key=api_key, **more), url)
    await made.open()
    try:
        yield made
    finally:
        await made.aclose()


async def ask(to: Upstream, call: Call = CALL) -> tuple[int, bytes]:
    reply = await to.send(call)
    try:
        async with asyncio.timeout(10):
            return reply.status, await reply.read()
    finally:
        await reply.aclose()


def says(answer: bytes, *, hang: bool = False, reset: bool = False) -> AbstractAsyncContextManager[str]:
    """A server that answers a request with these bytes, then closes, resets or holds the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        if reset:
            writer.transport.abort()
        if hang:
            await reader.read()

    return loopback_server(handle)


async def trickles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server whose answer never ends and never pauses for long."""
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\n.\r\n")
        await writer.drain()
        await asyncio.sleep(BRIEF / 10)


@pytest.mark.parametrize("key", [None, "sk-configured"])
async def test_a_call_carries_exactly_these_headers(key: str | None) -> None:
    """Host, content type and length, user agent and the configured key go upstream; nothing else does."""
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async with loopback_server(handle) as url, upstream(url, api_key=key) as mock:
        await ask(mock)
        expected = {
            "host": url.removeprefix("http://").removesuffix("/v1"),
            "content-type": "application/json",
            "user-agent": f"preceptor/{__version__}",
            "accept-encoding": "identity",
            "content-length": str(len(CALL.body)),
        }
        if key:
            expected["authorization"] = f"Bearer {key}"
    assert seen == [("POST /v1/chat/completions HTTP/1.1", expected, CALL.body)]


async def sent(call: Call, api_key: str | None = None, *, userinfo: str = "", below: str = "", **more: Any) -> Sent:
    """What a call becomes on the wire: request line, headers but for host and user agent, body."""
    seen: list[Sent] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async with loopback_server(handle) as url:
        address = url.replace("http://", f"http://{userinfo}") + below
        async with upstream(address, api_key, **more) as mock:
            assert await ask(mock, call) == (200, b"{}")
    ((line, headers, body),) = seen
    assert headers.pop("host") and headers.pop("user-agent") and headers.pop("accept-encoding") == "identity"
    return line, headers, body


async def test_method_query_and_headers_of_a_call_are_handed_on() -> None:
    """As they came; its content type replaces JSON's."""
    call = Call(
        model="",
        body=b"--x--",
        path="/files/a%20b",
        method="PATCH",
        query="a=%2F&b",
        headers=((b"content-type", b"multipart/form-data; boundary=x"), (b"openai-beta", b"assistants=v2")),
    )
    line, headers, body = await sent(call)
    assert (line, body) == ("PATCH /v1/files/a%20b?a=%2F&b HTTP/1.1", b"--x--")
    assert headers == {
        "content-type": "multipart/form-data; boundary=x",
        "openai-beta": "assistants=v2",
        "content-length": "5",
    }


@pytest.mark.parametrize(("method", "length"), [("GET", {}), ("DELETE", {"content-length": "0"})])
async def test_a_call_without_a_body_has_no_content_type(method: str, length: dict[str, str]) -> None:
    """A GET has no length either: some servers wait for a body then."""
    line, headers, body = await sent(Call(model="", body=b"", path="/models", method=method))
    assert (line, headers, body) == (f"{method} /v1/models HTTP/1.1", length, b"")


@pytest.mark.parametrize(
    ("query", "expected"), [("", "api-version=2024-10-21"), ("limit=1", "api-version=2024-10-21&limit=1")]
)
async def test_the_query_of_the_base_url_stays_on_every_address(query: str, expected: str) -> None:
    """Azure wants its version with every request; a call's own query follows it."""
    call = msgspec.structs.replace(CALL, query=query)
    line, _, _ = await sent(call, below="/?api-version=2024-10-21")
    assert line == f"POST /v1/chat/completions?{expected} HTTP/1.1"


async def test_a_key_may_have_a_header_of_its_own() -> None:
    """Sent as it is there, and not as a bearer token."""
    _, headers, _ = await sent(CALL, "sk-azure", api_key_header="Api-Key")
    assert headers["api-key"] == "sk-azure"
    assert "authorization" not in headers


async def test_credentials_in_the_base_url_are_sent_as_such() -> None:
    """As any HTTP client does; a key goes before them."""
    _, headers, _ = await sent(CALL, userinfo="me:p%40ss@")
    assert headers["authorization"] == "Basic bWU6cEBzcw=="
    _, headers, _ = await sent(CALL, "sk-key", userinfo="me:p%40ss@")
    assert headers["authorization"] == "Bearer sk-key"


async def test_configured_headers_are_sent_with_every_call() -> None:
    """They may replace what we would say."""
    _, headers, _ = await sent(CALL, headers={"X-Team": "ours", "Content-Type": "application/json; charset=utf-8"})
    assert headers["x-team"] == "ours"
    assert headers["content-type"] == "application/json; charset=utf-8"


async def test_a_configured_traceparent_stays() -> None:
    """A header of the configuration goes before the span's."""
    call = msgspec.structs.replace(CALL, traceparent=b"00-1-2-01")
    assert (await sent(call))[1]["traceparent"] == "00-1-2-01"
    assert (await sent(call, headers={"traceparent": "ours"}))[1]["traceparent"] == "ours"


@pytest.mark.parametrize("name", ["authorization", "x-team", "content-length", "transfer-encoding", "connection"])
async def test_a_call_replaces_no_header_of_ours(name: str) -> None:
    """Key, configured headers and framing are not the client's to choose."""
    call = msgspec.structs.replace(CALL, headers=((name.encode(), b"forged"), (b"host", b"forged")))
    _, headers, _ = await sent(call, "sk-ours", headers={"X-Team": "ours"})
    assert "forged" not in headers.values()


@pytest.mark.parametrize(
    "forged",
    [
        {"path": "/models HTTP/1.1\r\nx-forged: 1\r\n\r\n"},
        {"path": "/a b"},
        {"path": "/a?b"},
        {"path": "/a#b"},
        {"path": "/ümlaut\udcff"},
        {"path": "/../admin"},
        {"path": "/files/%2E%2e"},
        {"path": "relative"},
        {"query": "a b"},
        {"query": "a\r\nb"},
        {"method": "GET /admin HTTP/1.1\r\n"},
        {"headers": ((b"x-test", b"a\r\nx-forged: 1"),)},
        {"headers": ((b"x-test: 1\r\nx-forged", b"1"),)},
        {"headers": ((b"x-test", b"\0"),)},
    ],
)
async def test_what_would_not_stay_in_its_place_is_the_client_s_mistake(forged: dict[str, Any]) -> None:
    """A path below the base URL stays below it, a header stays one header: ``BadRequest``, and nothing is sent."""
    async with upstream(f"http://127.0.0.1:{free_port()}/v1") as mock:
        with pytest.raises(BadRequest):
            await mock.send(msgspec.structs.replace(CALL, **forged))


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"x-team": "sk-secret\n"}},
        {"headers": {"x team": "sk-secret"}},
        {"headers": {"Content-Length": "7"}},
        {"api_key": "sk-secret\n"},
        {"api_key": "sk-secret", "api_key_header": "api key"},
        {"base_url": "http://user:sk-secret@host:99999/v1"},
        {"base_url": "http://host/v1?key=sk-secret\n"},
    ],
)
def test_what_can_never_be_sent_is_a_mistake_in_the_configuration(wrong: dict[str, Any]) -> None:
    """It is found at the start, and named without its value."""
    settings = OpenAISettings(**{"base_url": "http://host/v1", **wrong})
    with pytest.raises(ConfigurationError, match=r"upstreams\.mock") as raised:
        HttpUpstream.of("mock", settings, settings.base_url)
    assert "sk-secret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_path_is_joined_to_the_base_url(slash: str) -> None:
    """A base URL may end in a slash or not, and keep a prefix and escapes of its own."""
    lines: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await read_request(reader))[0])
        writer.write(OK)

    async with loopback_server(handle) as url, upstream(url.replace("/v1", "/a%20b/v1") + slash) as mock:
        await ask(mock, Call(model="tiny", body=b"{}", path="/completions"))
    assert lines == ["POST /a%20b/v1/completions HTTP/1.1"]


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 404, 429, 500, 503, 599])
async def test_every_status_is_handed_back_with_headers_and_body(status: int) -> None:
    """An error status is a reply, not an exception; header names are in lower case."""
    head = f"HTTP/1.1 {status} Whatever\r\nRetry-After: 7\r\nLocation: /\r\nContent-Length: 2\r\n\r\n{{}}"
    async with says(head.encode()) as url, upstream(url) as mock:
        reply = await mock.send(CALL)
        assert (reply.status, reply.headers["retry-after"], await reply.read()) == (status, "7", b"{}")
        await reply.aclose()


async def test_a_body_arrives_in_pieces_as_it_is_sent() -> None:
    """The first piece is there while the second has not been sent."""
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with loopback_server(handle) as url, upstream(url) as mock:
        reply = await mock.send(STREAM)
        pieces = []
        async for piece in reply.chunks():
            pieces.append(piece)
            go_on.set()
        await reply.aclose()
    assert pieces == [b"one", b"two"]


BEFORE_A_STATUS: dict[str, tuple[Callable[[], AbstractAsyncContextManager[str]], type[UpstreamError], str]] = {
    "closed": (lambda: says(b""), UpstreamUnreachable, "without an answer"),
    "reset": (lambda: says(b"", reset=True), UpstreamUnreachable, "without an answer"),
    "cut in the headers": (lambda: says(b"HTTP/1.1 200 OK\r\nCont"), UpstreamUnreachable, "without an answer"),
    "not HTTP": (lambda: says(b"SSH-2.0-OpenSSH\r\n\r\n"), UpstreamGarbage, "not HTTP"),
    "a status that HTTP does not have": (lambda: says(OK.replace(b"200", b"999")), UpstreamGarbage, "999"),
    "another protocol": (lambda: says(OK.replace(b"200", b"101")), UpstreamGarbage, "'mock'"),
    "a chunk size that is none": (lambda: says(CHUNKED + b"xyz\r\n"), UpstreamGarbage, "not HTTP"),
    "silence": (lambda: says(b"", hang=True), UpstreamTimeout, "no status within"),
    "silence in the headers": (lambda: says(b"HTTP/1.1 200 OK\r\n", hang=True), UpstreamTimeout, "no status within"),
}


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("case", BEFORE_A_STATUS)
async def test_a_failure_before_the_status_is_raised_by_send(case: str, call: Call) -> None:
    """Each is the error that the contract names, in one line that names the upstream and no key."""
    server, expected, words = BEFORE_A_STATUS[case]
    limit = BRIEF if "silence" in case else 5
    async with server() as url, upstream(url, "sk-secret", first_byte_timeout_s=limit) as mock:
        with pytest.raises(expected, match=words) as raised:
            await mock.send(call)
    message = str(raised.value)
    assert "'mock'" in message and "\n" not in message and "sk-secret" not in message


async def test_nobody_listening_is_unreachable() -> None:
    """A refused connection says what to look at."""
    async with upstream(f"http://127.0.0.1:{free_port()}/v1") as mock:
        with pytest.raises(UpstreamUnreachable, match="base_url"):
            await mock.send(CALL)


async def test_a_connection_that_is_not_made_in_time_is_a_time_out() -> None:
    """The connect time-out is its own, and covers the TLS handshake."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        loopback_server(silent) as url,
        upstream(url.replace("http:", "https:"), connect_timeout_s=BRIEF, first_byte_timeout_s=5) as mock,
    ):
        with pytest.raises(UpstreamTimeout, match="accept a connection"):
            await mock.send(CALL)


async def test_an_upstream_that_is_closed_is_unreachable() -> None:
    """A call after ``aclose`` opens nothing anew."""
    async with says(OK) as url, upstream(url) as mock:
        await mock.aclose()
        with pytest.raises(UpstreamUnreachable):
            await mock.send(CALL)


IN_THE_BODY: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "a length that lies": lambda: says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
    "cut between chunks": lambda: says(CHUNKED),
    "cut in a chunk": lambda: says(CHUNKED + b"ff\r\nhal"),
    "reset": lambda: says(CHUNKED, reset=True),
}


@pytest.mark.parametrize("case", IN_THE_BODY)
async def test_a_body_that_breaks_off_is_broken(case: str) -> None:
    """After the status every end but the proper one is ``UpstreamBroken``: it must never pass for a whole answer."""
    async with IN_THE_BODY[case]() as url, upstream(url) as mock:
        with pytest.raises(UpstreamBroken, match="'mock' broke off"):
            await ask(mock)


async def test_the_idle_time_out_runs_between_two_pieces_of_a_stream() -> None:
    """A stream that stops for longer than it may is a time-out that says how long."""
    async with says(CHUNKED, hang=True) as url, upstream(url, idle_timeout_s=BRIEF) as mock:
        with pytest.raises(UpstreamTimeout, match=r"sent nothing for 0\.05 s"):
            await ask(mock, STREAM)


async def test_the_idle_time_out_does_not_run_before_the_first_byte() -> None:
    """A stream may take longer to begin than it may pause later: reading a long prompt is slow."""

    async def slow_start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(BRIEF * 4)
        writer.write(OK)

    async with loopback_server(slow_start) as url, upstream(url, idle_timeout_s=BRIEF) as mock:
        assert await ask(mock, STREAM) == (200, b"{}")


async def test_an_unstreamed_body_may_take_as_long_as_the_first_byte() -> None:
    """A server may send its headers first and generate then: the idle time-out is for streams."""

    async def early_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK[:-2])
        await asyncio.sleep(BRIEF * 4)
        writer.write(OK[-2:])

    async with loopback_server(early_headers) as url, upstream(url, idle_timeout_s=BRIEF) as mock:
        assert await ask(mock) == (200, b"{}")


async def test_the_total_time_out_ends_an_answer_that_never_pauses() -> None:
    """Neither first byte nor idle time-out stops a server that trickles for ever; the total one does."""
    async with loopback_server(trickles) as url, upstream(url, total_timeout_s=BRIEF * 3) as mock:
        with pytest.raises(UpstreamTimeout, match=r"longer than 0\.15 s in all"):
            await ask(mock, STREAM)


async def test_the_total_time_out_counts_the_wait_for_the_status() -> None:
    """A total below the first byte's own limit holds from the start."""
    async with says(b"", hang=True) as url, upstream(url, total_timeout_s=BRIEF) as mock:
        with pytest.raises(UpstreamTimeout):
            await mock.send(CALL)


@pytest.mark.parametrize("act", ["cancelled before the status", "closed unread", "closed in the middle"])
async def test_a_call_that_nobody_waits_for_any_more_is_cut(act: str) -> None:
    """However a call is given up, the server sees its connection closed at once and can stop generating."""
    arrived, noticed = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if act != "cancelled before the status":
            writer.write(CHUNKED)
        arrived.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        noticed.set()

    async with loopback_server(handle) as url, upstream(url) as mock:
        sending = asyncio.create_task(mock.send(STREAM))
        await arrived.wait()
        if act == "cancelled before the status":
            sending.cancel()
        else:
            reply = await sending
            if act == "closed in the middle":
                assert await anext(aiter(reply.chunks())) == b"{}"
            await reply.aclose()
        async with asyncio.timeout(10):
            await noticed.wait()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


async def test_a_reply_may_be_closed_twice_and_after_it_was_read() -> None:
    """``aclose`` belongs into a ``finally``: it never raises, and a connection that was read to its end is kept."""
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(OK)

    async with loopback_server(handle) as url, upstream(url) as mock:
        for _ in range(3):
            reply = await mock.send(CALL)
            await reply.read()
            await reply.aclose()
            await reply.aclose()
    assert connections == 1


async def test_more_calls_than_connections_wait_their_turn() -> None:
    """``max_connections`` bounds what the server sees at once; nothing is lost."""
    open_now = most = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await read_request(reader)
                await asyncio.sleep(0.001)
                writer.write(OK)
        open_now -= 1

    async with loopback_server(handle) as url, upstream(url, max_connections=3) as mock:
        replies = await asyncio.gather(*(ask(mock) for _ in range(30)))
    assert replies == [(200, b"{}")] * 30
    assert most <= 3


def test_a_key_is_not_in_the_representation_of_an_upstream() -> None:
    """What a log line or a traceback might print holds no secret."""
    settings = OpenAISettings(base_url="http://a/v1", api_key="sk-secret")
    made = HttpUpstream.of("mock", settings, settings.base_url)
    assert "sk-secret" not in repr(made) + repr(settings)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("answer", [None, b"nonsense\r\n\r\n", b""], ids=["nobody there", "garbage", "closed"])
async def test_no_error_holds_a_secret(answer: bytes | None, scheme: str) -> None:
    """Neither the key nor a header's value nor the query and credentials of the address, down to the first cause."""
    async with contextlib.AsyncExitStack() as stack:
        there = f"http://127.0.0.1:{free_port()}" if answer is None else await stack.enter_async_context(says(answer))
        host = there.removeprefix("http://").removesuffix("/v1")
        url = f"{scheme}://me:{SECRET}@{host}/v1?key={SECRET}"
        mock = await stack.enter_async_context(
            upstream(url, SECRET, headers={"x-team": SECRET}, connect_timeout_s=BRIEF)
        )
        call = msgspec.structs.replace(CALL, query=f"key={SECRET}", headers=((b"x", SECRET.encode()),))
        with pytest.raises(UpstreamError) as raised:
            await ask(mock, call)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert SECRET not in repr(mock)


async def test_it_can_always_be_called() -> None:
    """A server elsewhere is taken to be there: whether it answers, its calls say."""
    async with upstream("http://127.0.0.1:9/v1") as mock:
        assert mock.ready() is None


async def test_a_proxy_that_opens_no_way_is_told_from_the_server() -> None:
    """Its password is in no error."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with loopback_server(refuse) as url:
        way = url.removesuffix("/v1").replace("http://", "http://user:secret-of-it@")
        settings = OpenAISettings(base_url="https://model.example/v1", proxy=way)
        upstream = HttpUpstream.of("far", settings, settings.base_url)
        try:
            with pytest.raises(UpstreamUnreachable, match="the proxy before upstream 'far' opens no way") as raised:
                await upstream.send(Call(model="m", body=b"{}"))
        finally:
            await upstream.aclose()
    assert "secret-of-it" not in str(raised.value)
