"""Large bodies that are only handed on: a file, sound, a part of an upload."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar.types import HTTPScope

from gateway.api.hangup import ClientGone
from gateway.api.upload import LARGE, UploadPieces, is_upload
from gateway.errors import BodyTooLarge
from gateway.http_server.request_response import TRANSACTION
from gateway.settings import OpenAISettings
from gateway.upstream.http import HttpUpstream
from tests.fakes import CONFIG, Served, free_port, served

FORM = "multipart/form-data; boundary=x"
PIECE = b"x" * 2**16


class Sink:
    """A server that takes a body and remembers what came of it."""

    def __init__(self) -> None:
        self.head = b""
        self.size = 0
        self.begun = asyncio.Event()
        self.taken = asyncio.Event()
        self.gone = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        chunked = b"chunked" in self.head.lower()
        left = 0 if chunked else int(self.head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while left or chunked:
            if chunked:
                line = await reader.readline()
                if not line:
                    self.gone.set()
                    writer.close()
                    return
                left = int(line, 16)
                chunked = left > 0
            while left:
                piece = await reader.read(min(left, 2**16))
                if not piece:
                    self.gone.set()
                    writer.close()
                    return
                self.begun.set()
                self.size, left = self.size + len(piece), left - len(piece)
            if chunked:
                await reader.readline()
        self.taken.set()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def before(sink: Sink, more: str = "") -> AsyncIterator[Served]:
    """A gateway before a sink."""
    port = free_port()
    server = await asyncio.start_server(sink.handle, "127.0.0.1", port)
    url = f"http://127.0.0.1:{port}/v1"
    upstream = HttpUpstream("mock", OpenAISettings(base_url=url), url, api_key="sk-upstream")
    text = CONFIG.replace("port = 0", f'port = 0\ndefault_upstream = "mock"\nmax_body_mb = 1\n{more}')
    try:
        async with served(upstream, text) as gateway:
            yield gateway
    finally:
        await upstream.aclose()
        server.close()


def scope(headers: dict[str, str], *, server: bool = True) -> HTTPScope:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    made: Any = {"type": "http", "headers": given, **({TRANSACTION: None} if server else {})}
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("headers", "upload"),
    [
        ({"content_type": FORM, "content_length": str(LARGE + 1)}, True),
        ({"content_type": FORM, "content_length": str(LARGE)}, False),
        ({"content_type": "audio/wav", "transfer_encoding": "chunked"}, True),
        ({"content_type": "application/json", "content_length": str(10 * LARGE)}, False),
        ({"content_type": "application/json; charset=utf-8", "transfer_encoding": "chunked"}, False),
        ({"content_type": FORM}, False),
        ({"content_length": str(10 * LARGE)}, False),
    ],
)
def test_what_is_large_and_no_json_is_an_upload(headers: dict[str, str], upload: bool) -> None:
    """JSON may name a model, so it is read."""
    assert is_upload(scope(headers)) is upload
    assert not is_upload(scope(headers, server=False))


async def body(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield PIECE


@pytest.mark.parametrize("length", [True, False], ids=["of known length", "chunked"])
async def test_an_upload_arrives_whole_and_is_never_held(length: bool) -> None:
    """Far beyond the bound of other bodies; with its length, if the client gave it, and our key."""
    sink = Sink()
    size = 8 * 2**20
    async with before(sink) as gateway:
        headers = {"content-type": FORM, **({"content-length": str(size)} if length else {})}
        most = 0

        async def watched() -> AsyncIterator[bytes]:
            nonlocal most
            async for piece in body(size):
                most = max(most, gateway.services.bodies.held)
                yield piece

        reply = await gateway.client.post("/v1/files", content=watched(), headers=headers)
    assert (reply.status_code, sink.size, most) == (200, size, 0)
    head = sink.head.lower()
    assert b"content-type: multipart/form-data; boundary=x" in head
    assert b"authorization: bearer sk-upstream" in head
    assert (b"content-length: " in head) is length
    assert head.count(b"content-type:") == 1


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_beyond_the_limit_is_refused(declared: bool) -> None:
    """By its length, before anything is sent; without one, as soon as it is too long."""
    sink = Sink()
    async with before(sink, "max_upload_mb = 2") as gateway:
        size = 4 * 2**20
        headers = {"content-type": FORM, **({"content-length": str(size)} if declared else {})}
        with contextlib.suppress(httpx.WriteError):  # the answer may come before the end of the request
            reply = await gateway.client.post("/v1/files", content=body(size), headers=headers)
            assert (reply.status_code, reply.json()["error"]["message"][:10]) == (413, "The upload")
        assert not sink.taken.is_set() and (not declared or sink.head == b"")
        assert (await gateway.client.get("/livez")).status_code == 200


async def test_a_client_that_hangs_up_stops_the_upload() -> None:
    """The upstream sees its connection go, and holds no half a file as a whole one."""
    sink = Sink()
    never = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield PIECE
        await never.wait()

    async with before(sink) as gateway:
        headers = {"content-type": FORM, "content-length": str(8 * 2**20)}
        asking = asyncio.create_task(gateway.client.post("/v1/files", content=stuck(), headers=headers))
        async with asyncio.timeout(30):
            await sink.begun.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await sink.gone.wait()
    assert not sink.taken.is_set()


async def test_pieces_end_where_the_client_is_gone_or_the_limit_is_reached() -> None:
    """Not with half a body."""
    messages: list[Any] = [{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(ClientGone):
        [piece async for piece in UploadPieces(receive, 9)]
    messages = [{"type": "http.request", "body": b"abc", "more_body": False}]
    with pytest.raises(BodyTooLarge):
        [piece async for piece in UploadPieces(receive, 2)]
