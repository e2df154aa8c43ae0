"""What ``instructions`` counts: fixed requests through the gateway without a socket, a disk or a thread of its own.

Runs under callgrind, which writes a count whenever ``mark`` is called. It prints what it called, and how often.
"""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import uvloop
from uvicorn.server import ServerState

from gateway.app import build_app
from gateway.domain import Exchange, Rule, RuleSet, TrafficSplit, Usage
from gateway.formats.chat import open_chat
from gateway.formats.envelope import raw
from gateway.http_server.connection import HttpProtocol
from gateway.routing.route import route
from gateway.services import Services
from gateway.serving.server import uvicorn_config
from gateway.store.recorder.outbox import Outbox
from gateway.upstream.base import Call
from gateway.upstream.guarded import Guarded
from tests.bench.gateway.mock import USAGE, event
from tests.bench.gateway.preceptor import RULES
from tests.bench.gateway.upstreams import COMPLETION, request_body
from tests.connections import Far
from tests.fakes import CONFIG, services, settings

WARM: Final = 30
"""Calls before a part is counted: the interpreter rewrites its own code at first."""
TEXT: Final = CONFIG.replace("[server]", '[server]\ndefault_upstream = "mock"').replace("gpt-4o-mini", "tiny")
EVENTS: Final = [
    event({"role": "assistant", "content": ""}).encode(),
    *(event({"content": f"word {number} "}).encode() for number in range(50)),
    event({}, "stop").encode(),
    event({}, choices=[], usage=USAGE).encode(),
    b"data: [DONE]\n\n",
]  # fmt: skip

Part = tuple[Callable[[], Awaitable[object] | object], int]
"""Something to call, and how often it is counted."""


class Answered:
    """An ``upstream.base.UpstreamReply`` that is there at once."""

    def __init__(self, kind: str, pieces: list[bytes]) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": kind}
        self._pieces = pieces

    async def read(self) -> bytes:
        return self._pieces[0]

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None: ...


class Model:
    """An ``upstream.base.Upstream`` that answers without a wire."""

    async def open(self) -> None: ...

    async def send(self, call: Call) -> Answered:
        if call.stream:
            return Answered("text/event-stream", EVENTS)
        return Answered("application/json", [COMPLETION.encode()])

    def ready(self) -> str | None:
        return None

    async def aclose(self) -> None: ...


def mark() -> None:
    """Tell callgrind that a part begins or ends: it watches for this call, which nothing else here makes."""
    os.getpgid(0)


def gateway(text: str = TEXT) -> Services:
    """A gateway with live rules whose recorder never comes."""
    config = settings(text)
    upstream = Guarded(Model(), "mock", config.upstreams["mock"], observe=lambda event: None)
    made = services(config, {"mock": upstream}, new_id=lambda prefix: prefix + "0" * 32, clock=lambda: 1.0,
                    wall_clock=lambda: 1.0)  # fmt: skip
    rules = RuleSet(task="arithmetic", version=1, rules=tuple(Rule(text=text) for text in RULES))
    made.rules.swap({"arithmetic": TrafficSplit(live=rules)}, 1)
    outbox = Outbox(never, spool=None, max_rows=10**6, max_bytes=10**12, close_s=0.0)
    return dataclasses.replace(made, writer=outbox)


@contextlib.asynccontextmanager
async def never() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that nobody accepts."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
    yield


class Client(Far):
    """A far end that keeps nothing and says when a response is there."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def write(self, data: Any) -> None:
        if data.startswith(b"HTTP/1.1 200 OK"):
            self.stream = b"transfer-encoding: chunked" in data
        if not self.stream or data.endswith(b"0\r\n\r\n"):
            self.answered.set_result(data)


def whole(made: Services, body: bytes) -> Callable[[], Awaitable[None]]:
    """One request, from the bytes that arrive to those of the response, on a connection that is kept."""
    headers = (
        f"host: localhost\r\ncontent-type: application/json\r\nuser-agent: benchmark\r\ncontent-length: {len(body)}"
    )
    sent = f"POST /v1/chat/completions HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body
    config = uvicorn_config(build_app(made), made.settings)
    config.load()
    server = ServerState()
    server.default_headers = [(b"date", b"Sun, 22 Nov 2026 17:00:00 GMT")]
    connection, client = HttpProtocol(config, server, {}), Client()
    connection.connection_made(client)

    async def ask() -> None:
        client.answered = asyncio.get_running_loop().create_future()
        connection.data_received(sent)
        await client.answered
        await asyncio.sleep(0)  # what the request left behind ends now, not in the next one's count

    return ask


def parts(made: Services, keeping: Services) -> dict[str, Part]:
    """Everything that is counted, by name."""
    body, long = (request_body("tiny", stream=False, prompt_bytes=size) for size in (0, 10**5))
    request, serving = open_chat(body), made.serving
    snapshot = made.rules.current
    injection = snapshot.splits["arithmetic"].live
    assert injection is not None
    changes = {"model": raw("tiny-1b"), **request.with_system(injection.text)}
    exchange = Exchange(
        id="chatcmpl-0", created=1.0, task="arithmetic", client_model="tiny", model="small", arm="weak", rules=1,
        stream=False, status="ok", http_status=200, request=body, reply="88",
        usage=Usage(prompt_tokens=60, output_tokens=2), latency_ms=10.0, first_byte_ms=9.0,
    )  # fmt: skip
    answered = COMPLETION.encode()
    repeated = json.dumps({**json.loads(body), "temperature": 0}).encode()
    return {
        "request, rules injected": (whole(made, body), 100),
        "request, passed through": (whole(made, request_body("unknown", stream=False)), 100),
        "request of 100 KB, rules injected": (whole(made, long), 30),
        "stream of 50 events, rules injected": (whole(made, request_body("tiny", stream=True)), 30),
        "request, answered from memory": (whole(keeping, repeated), 100),
        "open a request": (functools.partial(open_chat, body), 200),
        "recognise its task": (functools.partial(serving.classifier.task_of, request, lambda name: None), 200),
        "decide where it goes": (
            functools.partial(route, request, "arithmetic", snapshot, serving.settings), 200,
        ),
        "seal it with rules": (functools.partial(request.sealed, changes), 200),
        "open and seal a reply": (lambda: request.open_reply(answered).sealed("chatcmpl-1"), 200),
        "queue an exchange": (functools.partial(made.writer.put, exchange), 200),
        "count an exchange": (functools.partial(made.telemetry.exchange, exchange, 0.001), 200),
    }  # fmt: skip


async def call(work: Callable[[], Awaitable[object] | object], times: int) -> None:
    for _ in range(times):
        result = work()
        if result is not None and hasattr(result, "__await__"):
            await result


async def play() -> dict[str, int]:
    """Every part, warmed up, between two marks; returns how often each was called there."""
    gc.disable()
    made, keeping = gateway(), gateway(TEXT.replace("rollout =", "cache = {}\nrollout ="))
    played = parts(made, keeping)
    async with made.writer.running(made.background), keeping.writer.running(keeping.background):
        for work, times in played.values():
            await call(work, WARM)
            mark()
            await call(work, times)
            mark()
    return {name: times for name, (_, times) in played.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(play())))
