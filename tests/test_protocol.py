"""The server's side of a connection: bounded heads, no endless waiting, and refusals that a client can read."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from gateway.listener import bind
from gateway.protocol import MAX_HEAD, BoundedProtocol

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


class Impatient(BoundedProtocol):
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
async def serving(protocol: type[BoundedProtocol] = BoundedProtocol) -> AsyncIterator[int]:
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(echo, http=protocol, ws="none", lifespan="off", access_log=False, log_config=None)
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
