"""The wire over aiohttp: what every wire promises, and what only this one does."""

import asyncio
import traceback
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.upstream.http1 import Http1Transport
from gateway.upstream.transport import AiohttpTransport, transport_for
from gateway.upstream.wire import Wire
from optimizer.demo.loopback import loopback_server
from tests.fakes import read_request
from tests.upstream_contract import OK, Counted, WireContract, answers, ask, request, says

SECRET = "sk-secret"


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    made = AiohttpTransport(max_connections=10)
    yield made
    await made.aclose()


class TestAiohttpTransport(WireContract):
    """The contract."""


async def test_a_connection_that_is_not_accepted_is_a_connect_time_out(transport: AiohttpTransport) -> None:
    """A TLS handshake that never ends counts as connecting: ``ConnectTimeout``."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with loopback_server(silent) as url:
        with pytest.raises(httpx.ConnectTimeout):
            await ask(transport, request(url.replace("http:", "https:"), connect=0.05))


async def test_a_server_that_speaks_no_tls_is_a_connect_error(transport: AiohttpTransport) -> None:
    """``https`` to a plain server: ``ConnectError``."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)

    async with loopback_server(plain) as url:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, request(url.replace("http:", "https:")))


async def test_a_streamed_body_is_not_sent_again(transport: AiohttpTransport) -> None:
    """A request whose body has been consumed cannot be repeated: the error is the caller's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{"
        yield b"}"

    server = Counted(lambda connection, number, writer: number == 1 and answers(writer))
    async with loopback_server(server) as url:
        await ask(transport, request(url))
        with pytest.raises(httpx.ReadError):
            await ask(transport, httpx.Request("POST", url, content=pieces()))
    assert server.requests == 2


@pytest.mark.parametrize(("scheme", "kind"), [("http", Http1Transport), ("https", AiohttpTransport)])
async def test_the_scheme_of_an_address_decides_which_wire_leads_there(scheme: str, kind: type[Wire]) -> None:
    """Plain http has the fast one, TLS is aiohttp's."""
    made = transport_for(scheme, max_connections=1)
    assert type(made) is kind
    await made.aclose()


async def test_a_proxy_is_asked_for_the_whole_address() -> None:
    """With its own password; plain http, too, takes this wire then."""
    asked: list[tuple[str, str]] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, headers, _ = await read_request(reader)
        asked.append((line, headers.get("proxy-authorization", "")))
        writer.write(OK)
        await writer.drain()

    async with loopback_server(proxy) as url:
        way = url.removesuffix("/v1").replace("http://", "http://user:secret@")
        made = transport_for("http", max_connections=1, proxy=way)
        try:
            assert type(made) is AiohttpTransport
            reply = await ask(made, request("http://model.example/v1"))
        finally:
            await made.aclose()
    assert reply == (200, b"ok")
    assert asked == [("POST http://model.example/v1/echo HTTP/1.1", "Basic dXNlcjpzZWNyZXQ=")]


async def test_a_proxy_tunnels_tls_and_may_refuse_to() -> None:
    """``CONNECT`` to the server; a refusal is the proxy's, and says nothing of its password."""
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, _ = await read_request(reader)
        asked.append(line)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with loopback_server(proxy) as url:
        way = url.removesuffix("/v1").replace("http://", f"http://user:{SECRET}@")
        made = AiohttpTransport(max_connections=1, proxy=way)
        try:
            with pytest.raises(httpx.ProxyError) as raised:
                await ask(made, request("https://model.example/v1/chat"))
        finally:
            await made.aclose()
    assert asked == ["CONNECT model.example:443 HTTP/1.1"]
    assert SECRET not in "".join(traceback.format_exception(raised.value))


async def test_no_error_shows_the_query(transport: AiohttpTransport) -> None:
    """Some servers take their key there; aiohttp's own error would quote it in a traceback."""
    async with loopback_server(says(b"HTTP/1.1 abc OK\r\n\r\n")) as url:
        with pytest.raises(httpx.RemoteProtocolError) as raised:
            await ask(transport, httpx.Request("POST", f"{url}?key={SECRET}", content=b"{}"))
    assert SECRET not in "".join(traceback.format_exception(raised.value))
