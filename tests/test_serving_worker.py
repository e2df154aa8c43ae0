"""Two real workers: one port, one store, one configuration, one count of everything; and what happens when one dies."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.http_server.listener import bind
from gateway.store.sql import SqlStore
from tests.fakes import asked, completion, events

ROOT = Path(__file__).parents[1]
LIMIT_S = 90
"""Seconds after which something that should have happened is a failure."""

CONFIG = """
[server]
arm_headers = true
port = 0
data_dir = "DATA"
workers = 2
[upstreams.mock]
kind = "openai"
base_url = "URL"
[models.small]
upstream = "mock"
model = "tiny"
[tasks.arithmetic]
match = { model = "gpt-4o-mini" }
weak = "small"
strong = "small"
[optimizer]
enabled = false
"""


class ModelServer(ThreadingHTTPServer):
    """Answers at once; a stream begins at once and goes on when ``go_on`` is set."""

    daemon_threads = True

    class RequestHandlerClass(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server: "ModelServer"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if b'"stream":true' not in body.replace(b" ", b""):
                self._answer("application/json", completion("4"))
                return
            first, *rest = events(["It ", "is ", "4"])
            self._answer("text/event-stream", first, size=len(b"".join([first, *rest])))
            assert self.server.go_on.wait(LIMIT_S)
            with contextlib.suppress(OSError):  # a gateway that was killed
                self.wfile.write(b"".join(rest))

        def _answer(self, kind: str, content: bytes, size: int | None = None) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(size or len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    def __init__(self) -> None:
        self.go_on = threading.Event()
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def end(self) -> None:
        self.shutdown()
        self.server_close()


class Gateway:
    """``preceptor serve`` with two workers, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.models = ModelServer()
        self.data = folder / "data"
        self.config = folder / "preceptor.toml"
        text = CONFIG.replace("URL", self.models.url).replace("DATA", str(self.data))
        self.config.write_text(text)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "gateway", "serve", "-c", str(self.config)], cwd=ROOT, stderr=log
            )
        try:
            until(lambda: b"preceptor serves" in self.log.read_bytes())
            found = re.search(r"http://127\.0\.0\.1:(\d+)", self.log.read_text())
            assert found is not None
            self.port = int(found[1])
            until(lambda: len(self.ready()) == 2)
        except BaseException:
            self.end()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """Process ids of the supervisor's children."""
        return children(self.process.pid)

    def ready(self) -> list[int]:
        """Process ids of the workers that take connections."""
        mine = listening(self.port)
        return [pid for pid in self.workers() if mine & opened(pid)]

    def owner(self, reply: httpx.Response) -> int:
        """The worker that has the connection on which this came."""
        port = reply.extensions["network_stream"].get_extra_info("client_addr")[1]
        mine = sockets(lambda local, remote, state: (local, remote) == (self.port, port))
        return next(pid for pid in self.workers() if mine & opened(pid))

    def pinned(self) -> dict[int, httpx.Client]:
        """A client for each worker, whose connection stays."""
        found: dict[int, httpx.Client] = {}
        while len(found) < 2:
            client = self.client()
            worker = self.owner(client.get("/livez"))
            if worker in found:
                client.close()
            else:
                found[worker] = client
        return found

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=LIMIT_S)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.models.end()


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does in its own time."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [
            int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
        ]
    return []


def sockets(wanted: Callable[[int, int, str], bool]) -> set[str]:
    """The kernel's names of sockets, by local port, remote port and state."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *fields = line.split()
        if wanted(int(local.split(":")[1], 16), int(remote.split(":")[1], 16), state):
            found.add(f"socket:[{fields[5]}]")
    return found


def listening(port: int) -> set[str]:
    """The sockets that take connections on a port."""
    return sockets(lambda local, remote, state: local == port and state == "0A")


def opened(pid: int) -> set[str]:
    """What a process has open, in the kernel's names."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.add(str(descriptor.readlink()))
    return found


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")
drill = pytest.mark.drill
"""For tests with several real processes."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers for all tests here; the last ones end it."""
    started = Gateway(tmp_path_factory.mktemp("workers"))
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def both(gateway: Gateway) -> Iterator[list[httpx.Client]]:
    """A client of each worker."""
    clients = list(gateway.pinned().values())
    yield clients
    for client in clients:
        client.close()


def chat(client: httpx.Client) -> httpx.Response:
    reply = client.post("/v1/chat/completions", json=asked())
    assert reply.status_code == 200, reply.text
    return reply


@drill
def test_both_take_connections_and_their_counts_add_up(gateway: Gateway, both: list[httpx.Client]) -> None:
    """Whichever is asked knows what the other counted; a scrape never goes back."""
    for client, requests in zip(both, (3, 5), strict=True):
        for _ in range(requests):
            chat(client)
    totals: list[float] = []

    def eight() -> bool:
        totals.extend(total(client) for client in both)
        return totals[-2:] == [8.0, 8.0]

    until(eight)
    assert totals == sorted(totals)


def total(client: httpx.Client) -> float:
    found = re.findall(r"^preceptor_exchanges_total\{.*\} (.*)$", client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))


@drill
def test_feedback_may_reach_the_other_worker(both: list[httpx.Client]) -> None:
    """Right after the reply, when the exchange may still wait in the queue of the one that gave it."""
    one, other = both
    for _ in range(5):
        given = other.post("/v1/feedback", json={"id": chat(one).json()["id"], "correct": True})
        assert given.status_code == 200, given.text
    assert other.post("/v1/feedback", json={"id": "chatcmpl-nothing", "correct": True}).status_code == 404


@drill
def test_both_follow_a_rule_set(gateway: Gateway, both: list[httpx.Client]) -> None:
    """Within a second, whoever activated it."""
    with contextlib.closing(SqlStore.open(gateway.data)) as store:
        store.publish(RuleSet(task="arithmetic", rules=(Rule(text="Think."),)))
        store.activate(Activation(task="arithmetic", version=1, created=0, by="test"))
    for client in both:
        until(lambda client=client: chat(client).headers["x-preceptor-rules"] == "1")  # type: ignore[misc]


@drill
def test_both_follow_the_configuration(gateway: Gateway, both: list[httpx.Client]) -> None:
    """A mistake keeps the old one in both, what is right is in effect in both."""

    def models() -> list[bool]:
        return ["fresh" in client.get("/v1/models").text for client in both]

    right = gateway.config.read_text() + '\n[models.fresh]\nupstream = "mock"\nmodel = "m"\n'
    gateway.config.write_text(right + "[nonsense]\n")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: gateway.log.read_text().count("the configuration stays as it was") >= 2)
    assert models() == [False, False]
    gateway.config.write_text(right)
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: models() == [True, True])


@contextlib.contextmanager
def streams(gateway: Gateway) -> Iterator[dict[int, Iterator[str]]]:
    """A stream on each worker that has begun, by the worker; it goes on when the model server does."""
    gateway.models.go_on.clear()
    with contextlib.ExitStack() as stack:
        found: dict[int, Iterator[str]] = {}
        stack.callback(gateway.models.go_on.set)
        while len(found) < 2:
            client = stack.enter_context(gateway.client())
            reply = stack.enter_context(client.stream("POST", "/v1/chat/completions", json=asked(stream=True)))
            lines = reply.iter_lines()
            assert next(lines).startswith("data: ")
            found.setdefault(gateway.owner(reply), lines)
        yield found


def finished(lines: Iterator[str]) -> bool:
    return [line for line in lines if line][-1] == "data: [DONE]"


@drill
def test_a_worker_that_is_killed_takes_nobody_else_with_it(gateway: Gateway) -> None:
    """The other's streams end well, new requests are served at once, a new worker comes, and what was counted stays."""
    with streams(gateway) as under_way:
        time.sleep(1.1)  # counts are kept every second
        with gateway.client() as client:
            before = total(client)
        killed, spared = under_way
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in gateway.workers())
        for _ in range(20):
            with gateway.client() as client:
                chat(client)
        gateway.models.go_on.set()
        assert finished(under_way[spared])
        with pytest.raises(httpx.TransportError):
            list(under_way[killed])
    until(lambda: len(gateway.ready()) == 2)
    assert killed not in gateway.ready()
    with gateway.client() as client:
        until(lambda: total(client) >= before + 20)


@drill
def test_sigterm_lets_the_streams_of_both_finish(gateway: Gateway) -> None:
    """No new connection is taken, every exchange is stored, nothing is left behind, and the exit code is 0."""
    with streams(gateway) as under_way:
        workers = gateway.workers()
        gateway.process.terminate()
        until(lambda: not listening(gateway.port))
        gateway.models.go_on.set()
        assert all(finished(lines) for lines in under_way.values())
    assert gateway.process.wait(LIMIT_S) == 0, gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert sorted(path.name.partition(".db")[0] for path in gateway.data.iterdir()) == ["preceptor"]
    with contextlib.closing(SqlStore.open(gateway.data)) as store:
        assert [one.reply for one in store.answered("arithmetic", arm="weak", limit=2)] == ["It is 4", "It is 4"]


PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "gateway.serving.worker"]
worker = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False)
worker.stdin.write(sys.argv[1].replace("PARENT", str(os.getpid())).encode() + b"\\n")
worker.stdin.flush()
time.sleep(1000)
"""


@contextlib.contextmanager
def worker(folder: Path, listener: socket.socket, config: str) -> Iterator[subprocess.Popen[str]]:
    """One worker below a parent that does nothing but start it."""
    file = folder / "preceptor.toml"
    file.write_text(config)
    told = {"number": 0, "listeners": [listener.fileno()], "counts": str(folder), "config": str(file), "given": {}}
    line = json.dumps({**told, "parent": "PARENT"}).replace('"PARENT"', "PARENT")
    listener.set_inheritable(True)
    parent = subprocess.Popen(  # noqa: S603
        [sys.executable, "-S", "-c", PARENT, line],
        cwd=ROOT, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield parent
    finally:
        parent.kill()
        parent.communicate()


@drill
def test_a_worker_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    """Killed, it cannot tell: the worker stops as on SIGTERM, so what runs ends well, and the port is free at once."""
    models = ModelServer()
    listener = bind("127.0.0.1", 0)
    config = CONFIG.replace("URL", models.url).replace("DATA", str(tmp_path / "data"))
    with worker(tmp_path, listener, config) as parent, httpx.Client(trust_env=False, timeout=LIMIT_S) as client:
        port = listener.getsockname()[1]
        models.go_on.clear()
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        with client.stream("POST", url, json=asked(stream=True)) as reply:
            listener.close()
            lines = reply.iter_lines()
            assert next(lines).startswith("data: ")
            (pid,) = children(parent.pid)
            parent.kill()
            until(lambda: not listening(port))
            models.go_on.set()
            assert finished(lines)
        until(lambda: not Path(f"/proc/{pid}").exists())
    models.end()


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """In one line, with its number."""
    (tmp_path / "preceptor.db").write_text("This is no database, but long enough to be taken for one." * 20)
    config = CONFIG.replace("URL", "http://127.0.0.1:9/v1").replace("DATA", str(tmp_path))
    with contextlib.closing(bind("127.0.0.1", 0)) as listener, worker(tmp_path, listener, config) as parent:
        assert parent.stderr is not None
        said = parent.stderr.readline()
    assert said.startswith("preceptor: worker 0: ")
    assert "is not a database" in said
