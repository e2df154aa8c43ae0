"""The process: a port in use is said in one line, signals stop it in order, and what runs is finished first."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from gateway.app import build_app
from gateway.http_server.listener import bind
from gateway.serving.server import uvicorn_config
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.fakes import asked, events, read_request, services, settings

pytestmark = pytest.mark.drill
"""Each test starts real processes."""

ROOT = Path(__file__).parents[1]
LIMIT_S = 20
"""Seconds after which a process that should have spoken or ended is a failure."""


@pytest.mark.parametrize(("drain_s", "seconds"), [("10", 10), ("0.2", 1), ("1.5", 2)])
async def test_the_shutdown_is_bounded_and_never_cut_short(drain_s: str, seconds: int) -> None:
    """The server counts whole seconds: they are rounded up."""
    config = uvicorn_config(build_app(services(settings(), {})), settings(f"[server]\ndrain_s = {drain_s}"))
    assert config.timeout_graceful_shutdown == seconds


async def read_line(process: Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        return (await process.stderr.readline()).decode()


@contextlib.asynccontextmanager
async def python(*arguments: str) -> AsyncIterator[Process]:
    """A process of its own; killed if a test leaves it behind."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def preceptor(config: Path) -> AbstractAsyncContextManager[Process]:
    """``preceptor serve``."""
    return python("-m", "gateway", "serve", "-c", str(config))


async def ended(process: Process) -> tuple[int | None, str]:
    """Exit code and the rest of what it said on stderr."""
    async with asyncio.timeout(LIMIT_S):
        _, said = await process.communicate()
    return process.returncode, said.decode()


def configuration(
    folder: Path, port: int, upstream: str = "http://127.0.0.1:9/v1", drain_s: float = 10, lame_duck_s: float = 0
) -> Path:
    file = folder / "preceptor.toml"
    file.write_text(
        f"""
        [server]
        port = {port}
        data_dir = "{folder / "data"}"
        default_upstream = "mock"
        drain_s = {drain_s}
        lame_duck_s = {lame_duck_s}
        [upstreams.mock]
        kind = "openai"
        base_url = "{upstream}"
        [optimizer]
        enabled = false
        """
    )
    return file


@contextlib.asynccontextmanager
async def ready(config: Path) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """A gateway process that answers, and a client of it."""
    async with preceptor(config) as process:
        while not (line := await read_line(process)).startswith("preceptor serves http://"):
            assert line, "it ended"
        url = line.split()[2].removesuffix("/v1")
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=LIMIT_S) as client:
            assert (await client.get("/readyz")).status_code == 200
            yield process, client


STARTING = """
import asyncio, contextlib, signal, sys
from pathlib import Path
from gateway.errors import PreceptorError
from gateway.http_server.listener import bind
from gateway.serving.server import serve
from tests.fakes import settings
class Slow:
    def mounts(self, services):
        return {}
    @contextlib.asynccontextmanager
    async def lifespan(self, services):
        print("starts", flush=True)
        if await asyncio.to_thread(input) == "fail":
            raise ValueError
        print("started", flush=True)
        yield
        print("closed", flush=True)
signal.signal(signal.SIGTERM, signal.default_int_handler)
made = settings(f'[server]\\ndata_dir = "{sys.argv[1]}"')
try:
    serve(made, Path("none"), lambda: made, [Slow()], [bind("127.0.0.1", 0)], lambda: print("answers", flush=True))
except PreceptorError as error:
    sys.exit(f"preceptor: {error.message}")
"""


def starting(data_dir: Path) -> AbstractAsyncContextManager[Process]:
    """A gateway that waits, while it starts, for a line; it says how far it is."""
    return python("-c", STARTING, str(data_dir))


async def told(process: Process, line: bytes, how: signal.Signals | None = None) -> tuple[list[bytes], str]:
    """What it says on stdout and stderr to its end when its start goes on with this line, after a signal."""
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        assert await process.stdout.readline() == b"starts\n"
        if how is not None:
            process.send_signal(how)
        said, errors = await process.communicate(line)
    return said.split(), errors.decode()


async def test_it_is_ready_when_the_start_has_ended(tmp_path: Path) -> None:
    """And not before: whoever waits for it may ask at once."""
    async with starting(tmp_path) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"go on\n")
        async with asyncio.timeout(LIMIT_S):
            assert [await process.stdout.readline() for _ in range(3)] == [b"starts\n", b"started\n", b"answers\n"]


async def test_a_start_that_fails_is_said_and_never_ready(tmp_path: Path) -> None:
    """With exit code 1 and what to do, under the log that tells why."""
    async with starting(tmp_path) as process:
        said, errors = await told(process, b"fail\n")
        assert (process.returncode, said) == (1, [])
    assert errors.splitlines()[-1] == "preceptor: the gateway could not start: see the log above"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_it_starts_ends_it_in_order(tmp_path: Path, how: signal.Signals) -> None:
    """What was opened is closed, nobody is told that it answers, and the exit code is 0."""
    async with starting(tmp_path) as process:
        said, errors = await told(process, b"go on\n", how)
        assert (process.returncode, said) == (0, [b"started", b"closed"]), errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_before_anything_serves_ends_it_without_a_word(tmp_path: Path, how: signal.Signals) -> None:
    """Here it waits for its configuration; it was asked to stop, so that is no failure."""
    pipe = tmp_path / "preceptor.toml"
    os.mkfifo(pipe)
    async with preceptor(pipe) as process:
        with await asyncio.to_thread(pipe.open, "w"):  # it reads
            process.send_signal(how)
            assert await ended(process) == (0, "")


async def test_a_gateway_whose_port_is_taken_exits_with_one_line(tmp_path: Path) -> None:
    """Exit 1, one line that says what to do, no traceback."""
    with contextlib.closing(bind("127.0.0.1", 0)) as taken:
        async with preceptor(configuration(tmp_path, taken.getsockname()[1])) as process:
            code, said = await ended(process)
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "choose another with --port" in said


class Streaming:
    """A model server whose stream goes on when told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.gone = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        first, *rest = (b"%x\r\n%s\r\n" % (len(event), event) for event in events(["It ", "is ", "4"]))
        writer.write(first)
        closed = asyncio.create_task(reader.read())
        closed.add_done_callback(lambda _: self.gone.set())
        await self.go_on.wait()
        writer.write(b"".join(rest) + b"0\r\n\r\n")
        await closed


@contextlib.asynccontextmanager
async def streaming(config: Callable[[str], Path]) -> AsyncIterator[tuple[Streaming, Process, httpx.Response]]:
    """A gateway process in the middle of a stream."""
    upstream = Streaming()
    async with (
        loopback_server(upstream) as url,
        ready(config(url)) as (process, client),
        client.stream("POST", "/v1/chat/completions", json=asked("any", stream=True)) as reply,
    ):
        yield upstream, process, reply


async def refused(port: int) -> None:
    """Wait until nobody accepts connections there any more."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            await asyncio.sleep(0.01)


async def test_sigterm_lets_a_stream_finish(tmp_path: Path) -> None:
    """No new connection is taken, the running stream gets its end, its exchange is stored, and the exit code is 0."""
    async with streaming(lambda url: configuration(tmp_path, 0, url)) as (upstream, process, reply):
        lines = reply.aiter_lines()
        assert json.loads((await anext(lines)).removeprefix("data: "))
        process.send_signal(signal.SIGTERM)
        await refused(reply.request.url.port or 0)
        upstream.go_on.set()
        assert [line async for line in lines if line][-1] == "data: [DONE]"
        code, said = await ended(process)
    assert code == 0, said
    assert "Traceback" not in said, said
    store = SqlStore.open(tmp_path / "data")
    with contextlib.closing(store):
        exchange = store.exchange(reply.headers["x-request-id"])
    assert exchange is not None
    assert (exchange.status, exchange.reply) == ("ok", "It is 4")


async def test_a_stream_that_does_not_finish_is_cut_after_the_drain(tmp_path: Path) -> None:
    """The process ends within its bound, the client and the record learn why, and the upstream is let go."""
    async with streaming(lambda url: configuration(tmp_path, 0, url, drain_s=0.5)) as (upstream, process, reply):
        process.send_signal(signal.SIGTERM)
        *_, last = [line async for line in reply.aiter_lines() if line]
        code, said = await ended(process)
        async with asyncio.timeout(LIMIT_S):
            await upstream.gone.wait()
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "stopping"
    assert code == 0, said
    assert "Traceback" not in said, said
    store = SqlStore.open(tmp_path / "data")
    with contextlib.closing(store):
        exchange = store.exchange(reply.headers["x-request-id"])
    assert exchange is not None
    assert (exchange.status, exchange.error) == ("error", "stopping")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_an_idle_gateway_stops_at_once(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with exit code 0 and without a traceback; a kept-alive connection does not hold it."""
    async with ready(configuration(tmp_path, 0)) as (process, _):
        process.send_signal(how)
        code, said = await ended(process)
    assert (code, "Traceback" in said) == (0, False), said


async def test_after_sigterm_it_serves_on_while_its_load_balancer_turns_away(tmp_path: Path) -> None:
    """Readiness is asked for, so somebody has to notice. A second signal ends it."""
    async with ready(configuration(tmp_path, 0, lame_duck_s=600)) as (process, client):
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LIMIT_S):
            while (told := await client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.01)
        assert (told.json()["status"], told.headers["connection"]) == ("leaving", "close")
        assert (await client.get("/v1/models")).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0
