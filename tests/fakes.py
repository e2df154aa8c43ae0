"""Stand-ins for what lies outside: scripted upstreams in memory and on a real socket, and a gateway on loopback."""

import asyncio
import contextlib
import dataclasses
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx
import uvicorn

from gateway.app import build_app
from gateway.completion import Completions
from gateway.domain import Exchange, Feedback
from gateway.errors import StoreError
from gateway.http_server.listener import bind
from gateway.plugins import Plugin
from gateway.routing.classify import Classifier
from gateway.services import Services, Serving
from gateway.serving.server import uvicorn_config
from gateway.settings import Settings, parse
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from gateway.store.writer import Writer
from gateway.upstream.base import Call, Upstream

CONFIG = """
[server]
port = 0
arm_headers = true
[upstreams.mock]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
upstream = "mock"
model = "tiny-1b"
[models.large]
upstream = "mock"
model = "huge-1t"
[tasks.arithmetic]
match = { model = "gpt-4o-mini" }
weak = "small"
strong = "large"
grader = { kind = "numeric" }
rollout = { policy = "at_once", holdback = 0 }
[optimizer]
enabled = false
"""


def settings(text: str = CONFIG, **environment: str) -> Settings:
    """Validated settings from TOML text."""
    return parse(text, source="test", environment=environment)


def completion(text: str, *, prompt_tokens: int = 7, output_tokens: int = 3, **extra: Any) -> bytes:
    """An unstreamed chat completion as an upstream sends it."""
    return json.dumps(
        {
            "id": "upstream-1", "object": "chat.completion", "created": 1, "model": "tiny-1b",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": output_tokens,
                      "total_tokens": prompt_tokens + output_tokens},
            **extra,
        }
    ).encode()  # fmt: skip


def events(pieces: Sequence[str], *, prompt_tokens: int = 7, output_tokens: int = 3) -> list[bytes]:
    """A streamed chat completion as an upstream sends it, usage chunk and ``[DONE]`` included."""

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"id": "upstream-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1b",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}  # fmt: skip

    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": output_tokens,
             "total_tokens": prompt_tokens + output_tokens}  # fmt: skip
    bodies = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in pieces),
        chunk({}, "stop"),
        {**chunk({}), "choices": [], "usage": usage},
    ]
    return [*(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies), b"data: [DONE]\n\n"]


class FakeReply:
    """An ``upstream.base.UpstreamReply`` from bytes; an exception among the chunks is raised in its place."""

    def __init__(self, status: int, chunks: Sequence[bytes | Exception], headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.closed = False
        self._chunks = chunks

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def aclose(self) -> None:
        self.closed = True


Answer = str | Exception | FakeReply


class FakeUpstream:
    """An ``upstream.base.Upstream`` that answers with what ``script`` makes of the decoded request body.

    A string becomes a completion, streamed word by word where a stream was asked for; an exception is raised.
    ``bodies`` holds every body that arrived, ``replies`` every reply that was handed out.
    """

    def __init__(self, script: Callable[[dict[str, Any]], Answer]) -> None:
        self._script = script
        self.bodies: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.raw_bodies: list[bytes] = []
        self.replies: list[FakeReply] = []

    async def open(self) -> None: ...

    async def send(self, call: Call) -> FakeReply:
        self.calls.append(call)
        self.raw_bodies.append(call.body)
        is_json = not any(name == b"content-type" and b"json" not in value for name, value in call.headers)
        body = json.loads(call.body) if call.body and is_json else {}
        self.bodies.append(body)
        answer = self._script(body)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            if call.stream:
                words = [word + " " for word in answer.split(" ")]
                words[-1] = words[-1][:-1]
                answer = FakeReply(200, events(words), {"content-type": "text/event-stream"})
            else:
                answer = FakeReply(200, [completion(answer)], {"content-type": "application/json"})
        self.replies.append(answer)
        return answer

    def ready(self) -> str | None:
        return None

    async def aclose(self) -> None: ...


def services(config: Settings, upstreams: Mapping[str, Upstream], store: Store | None = None, **parts: Any) -> Services:
    """A gateway's services over given upstreams and a store in memory."""
    store = store or MemoryStore()
    return Services(
        serving=Serving(
            settings=config,
            upstreams=upstreams,
            completions=Completions(upstreams, asyncio.get_running_loop().time),
            classifier=Classifier(config.tasks),
        ),
        store=store,
        writer=Writer(store, spool=None),
        **parts,
    )


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It trusts nobody. Without it each client reads the certificates of all the world: 20 ms."""


def loopback_client(url: str = "") -> httpx.AsyncClient:
    """A client for a server of the tests."""
    return httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, verify=NO_TLS)


class PromptServer(uvicorn.Server):
    """A server that notices its end at once: uvicorn looks every 0.1 s, which is most of the time of a short test."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def gateway(made: Services, plugins: Sequence[Plugin] = ()) -> AsyncIterator[str]:
    """A real gateway on a free loopback port; yields its base URL without ``/v1``."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn_config(build_app(made, plugins), made.settings)
    config.timeout_graceful_shutdown = 1
    server = PromptServer(config)
    # Signals belong to the test runner; uvicorn's own handlers would take Ctrl-C from it.
    running = asyncio.create_task(server._serve([listener]))
    try:
        while not server.started:
            if running.done():
                await running
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers (lower case) and body of one HTTP/1.1 request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return head[0], headers, body


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on this port of the loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class MoodyStore(MemoryStore):
    """A store in memory that fails like a lost database while ``down`` is true."""

    down = False

    def _check(self) -> None:
        if self.down:
            raise StoreError("the database is away")

    def record(self, batch: Sequence[Exchange]) -> None:
        self._check()
        super().record(batch)

    def add_feedback(self, feedback: Feedback) -> bool:
        self._check()
        return super().add_feedback(feedback)

    def put_note(self, key: str, value: bytes) -> None:
        self._check()
        super().put_note(key, value)

    def swap_note(self, key: str, before: bytes | None, value: bytes) -> bool:
        self._check()
        return super().swap_note(key, before, value)

    def revision(self) -> int:
        self._check()
        return super().revision()


@dataclasses.dataclass(frozen=True)
class Served:
    """A gateway on loopback with what stands behind it; ``client`` speaks to it over a socket."""

    url: str
    services: Services
    client: httpx.AsyncClient

    async def exchange(self, reply: httpx.Response) -> Exchange:
        """The record of the exchange that a reply belongs to."""
        return await self.recorded(reply.headers["x-request-id"])

    async def recorded(self, exchange_id: str) -> Exchange:
        await asyncio.to_thread(self.services.writer.flush, 5)
        found = self.services.store.exchange(exchange_id)
        assert found is not None, f"{exchange_id} was not recorded"
        return found

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that happens in the gateway's own time; 5 seconds at most."""
        async with asyncio.timeout(30):
            while not holds():  # what is waited for has no event
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def served(upstream: Upstream, text: str = CONFIG, store: Store | None = None) -> AsyncIterator[Served]:
    """A gateway over one upstream, ``mock``, and a store in memory."""
    made = services(settings(text), {"mock": upstream}, store)
    made = dataclasses.replace(made, writer=Writer(made.store, spool=None, deadline_s=0.2, backoff_s=(0.01, 0.05)))
    async with gateway(made) as url, loopback_client(url) as client:
        yield Served(url, made, client)


def asked(model: str = "gpt-4o-mini", **fields: Any) -> dict[str, Any]:
    """A chat request; the model's default is one that the task ``arithmetic`` is recognised by."""
    return {"model": model, "messages": [{"role": "user", "content": "What is 2 + 2?"}], **fields}
