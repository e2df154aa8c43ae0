"""Real connections to our side of HTTP/1.1, and applications that tell what reached them."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from gateway.http_server.connection import HttpProtocol
from gateway.http_server.limits import ConnectionLimits, Cuts
from gateway.http_server.listener import bind

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /%b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


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
async def serving(
    limits: ConnectionLimits | None = None, *, application: Any = echo, cuts: Cuts | None = None
) -> AsyncIterator[int]:
    listener = bind("127.0.0.1", 0)
    protocol: Any = functools.partial(HttpProtocol, limits=limits or ConnectionLimits(), cuts=cuts)
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


async def path_of(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with the path, after a moment; the earlier it was asked, the longer that is."""
    number = scope["path"].removeprefix("/")
    await asyncio.sleep(0.02 / int(number) if number.isdecimal() else 0)
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def measured(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with method, path and body."""
    body = b""
    while (message := await receive())["more_body"]:
        body += message["body"]
    told = f"{scope['method']} {scope['path']} ".encode() + body + message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told, "more_body": False})


def bodies(answer: bytes) -> list[bytes]:
    """The bodies of some responses in a row."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        size = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        found.append(rest[:size])
        answer = rest[size:]
    return found


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

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
