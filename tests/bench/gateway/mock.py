"""A model server that answers late, or in streams whose events carry the time at which they were sent.

It runs as a process of its own: ``python -m tests.bench.gateway.mock PORT``. The first segment of the path is the
model. It reads no request beyond its end, and answers every one alike.
"""

import asyncio
import json
import sys
import time
from typing import cast

import httptools
import uvloop

from tests.bench.gateway.upstreams import COMPLETION, MODELS, Behaviour

WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(COMPLETION)
    + COMPLETION.encode()
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LAST = b"0\r\n\r\n"
TIME = "TIME"
"""Stands for the moment of sending: ``t``, nanoseconds of the monotonic clock that all processes share, ``e``."""


def event(delta: dict[str, str], finish: str | None = None, **more: object) -> str:
    """One event of a stream as OpenAI words it."""
    body = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more,
    }  # fmt: skip
    return f"data: {json.dumps(body)}\n\n"


def framed(text: str) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(text), text.encode())


ROLE = framed(event({"role": "assistant", "content": ""}))
BEFORE, AFTER = event({"content": TIME}).split(TIME)
USAGE = {"prompt_tokens": 60, "completion_tokens": 50, "total_tokens": 110}
END = framed(event({}, "stop") + event({}, choices=[], usage=USAGE) + "data: [DONE]\n\n") + LAST


class Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def on_message_begin(self) -> None:
        self._path = b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_message_complete(self) -> None:
        behaviour = MODELS[self._path.decode().split("/")[1]]
        if behaviour.chunks:
            self._transport.write(HEAD + ROLE)
            self._chunk(behaviour, 0, self._loop.time())
        else:
            self._timer = self._loop.call_later(behaviour.after_ms / 1000, self._transport.write, WHOLE)

    def _chunk(self, behaviour: Behaviour, number: int, began: float) -> None:
        """Send a chunk and plan the next by the clock, so that what is late does not make the stream slower."""
        if number == behaviour.chunks:
            self._transport.write(END)
            return
        self._transport.write(framed(f"{BEFORE}t{time.monotonic_ns()}e {AFTER}"))
        due = began + (number + 1) * behaviour.every_ms / 1000
        self._timer = self._loop.call_at(due, self._chunk, behaviour, number + 1, began)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
