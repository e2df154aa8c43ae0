"""Supervision of the embedded model server: a small fake child stands in its place, but for one test at the end."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from gateway.errors import ConfigurationError, ModelNotFound, UpstreamTimeout, UpstreamUnreachable
from gateway.settings import LlamaCppSettings, models_dir
from gateway.upstream.base import Call, Upstream, UpstreamReply
from gateway.upstream.http import HttpUpstream
from gateway.upstream.llamacpp import LlamaCppUpstream
from gateway.upstream.model_files import resolve

SETTINGS = LlamaCppSettings(first_byte_timeout_s=30.0, threads=1, parallel=2, context=512)

STRANGE = "PYTEST_CURRENT_TEST"
"""A variable that is no child's business."""

FAKE_CHILD = """
import json, os, sys, time
told = json.loads(sys.stdin.readline())
told["pid"] = os.getpid()
with open(told["model"] + ".lives", "a") as lives:
    lives.write(json.dumps(told) + "\\n")
{body}
"""

SERVE = """
print(json.dumps({"address": f"http://127.0.0.1:{os.getpid()}"}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file; its child writes what it is told beside it."""
    path = tmp_path / "own.gguf"
    path.write_bytes(b"GGUF")
    return path


def child(body: str) -> Sequence[str]:
    """The command of a fake child that reads its parameters and then does what ``body`` says."""
    return [sys.executable, "-c", FAKE_CHILD.replace("{body}", textwrap.dedent(body))]


def lives(model: Path) -> list[dict[str, object]]:
    """What each child of a model was told, with its process id, oldest first."""
    path = Path(f"{model}.lives")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def gone(pid: object) -> bool:
    """Whether a process has ended and was waited for."""
    assert isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class FakeReply:
    """Implements ``upstream.base.UpstreamReply``; the body is the address that was called."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None:
        """Nothing to give back."""


class FakeConnection:
    """Stands for the HTTP upstream of one life of a child."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url = base_url
        self.key = key
        self.log: list[str] = []

    async def open(self) -> None:
        self.log.append("open")

    async def send(self, call: Call) -> UpstreamReply:
        return FakeReply(self.base_url.encode())

    def ready(self) -> str | None:
        return None

    async def aclose(self) -> None:
        self.log.append("close")


class Connections(list[FakeConnection]):
    """Every connection that was made, oldest first."""

    def __call__(self, base_url: str, key: str) -> Upstream:
        self.append(FakeConnection(base_url, key))
        return self[-1]


@contextlib.asynccontextmanager
async def opened(upstream: LlamaCppUpstream) -> AsyncIterator[LlamaCppUpstream]:
    try:
        await upstream.open()
        yield upstream
    finally:
        await upstream.aclose()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that will come; the limit is for a broken test only."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def call(model: str) -> Call:
    return Call(model=model, body=b"{}")


async def ask(upstream: LlamaCppUpstream, model: str = "tiny") -> str:
    """The address at which a call arrived."""
    reply = await upstream.send(call(model))
    return (await reply.read()).decode()


async def test_a_call_waits_for_the_child_and_is_handed_on(model: Path) -> None:
    """It goes to the address that the child printed, below /v1, once that is open."""
    connections = Connections()
    async with opened(LlamaCppUpstream("local", SETTINGS, {"tiny": model}, connections, command=child(SERVE))) as local:
        assert local.ready() == "own.gguf is loading"
        address = await ask(local)
        assert local.ready() is None
        assert address == f"http://127.0.0.1:{lives(model)[0]['pid']}/v1"
        assert connections[0].log == ["open"]
    assert connections[0].log == ["open", "close"]


async def test_a_child_inherits_no_secret(model: Path) -> None:
    """Native code reads what clients write; a provider's key is none of its business."""
    async with opened(
        LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=child(SERVE))
    ) as local:
        await ask(local)
        inherited = Path(f"/proc/{lives(model)[0]['pid']}/environ").read_bytes()  # noqa: ASYNC240 - a moment
    assert b"PATH=" in inherited and STRANGE in os.environ and STRANGE.encode() not in inherited


async def test_a_child_is_told_its_settings_and_the_key_of_its_connection(model: Path) -> None:
    """Over stdin: nothing of it stands on the command line."""
    connections = Connections()
    keys = iter(["first key"])
    upstream = LlamaCppUpstream(
        "local", SETTINGS, {"tiny": model}, connections, command=child(SERVE), new_key=lambda: next(keys)
    )
    async with opened(upstream) as local:
        await ask(local)
    (told,) = lives(model)
    del told["pid"]
    assert told == {
        "model": str(model),
        "alias": "own",
        "api_key": "first key",
        "threads": 1,
        "parallel": 2,
        "context": 512,
    }
    assert connections[0].key == "first key"


async def test_names_of_one_file_share_a_child(tmp_path: Path, model: Path) -> None:
    """Two files have two, and each call finds its own."""
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    models = {"tiny": model, str(model): model, "other": other}
    async with opened(LlamaCppUpstream("local", SETTINGS, models, Connections(), command=child(SERVE))) as local:
        assert await ask(local, "tiny") == await ask(local, str(model)) != await ask(local, "other")
    assert len(lives(model)) == len(lives(other)) == 1


async def test_a_killed_child_is_started_again(model: Path) -> None:
    """Calls wait for the new one; it has a new key, and the old connection is closed."""
    connections = Connections()
    upstream = LlamaCppUpstream("local", SETTINGS, {"tiny": model}, connections, command=child(SERVE))
    async with opened(upstream) as local:
        first = await ask(local)
        os.kill(int(str(lives(model)[0]["pid"])), signal.SIGKILL)
        await until(lambda: local.ready() is not None)
        assert local.ready() == "own.gguf was killed by SIGKILL (out of memory?)"
        assert await ask(local) != first
        assert local.ready() is None
    assert len({connection.key for connection in connections}) == 2
    assert connections[0].log == ["open", "close"]


async def test_a_child_that_keeps_dying_makes_calls_fail_with_its_last_words(model: Path) -> None:
    """Pauses between the starts double from half a second to thirty; calls do not wait for a fourth start."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0 if len(pauses) < 9 else 600)

    dying = child("print('out of luck', file=sys.stderr); print('no such tensor', file=sys.stderr); sys.exit(3)")
    upstream = LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=dying, pause=pause)
    async with opened(upstream) as local:
        with pytest.raises(UpstreamUnreachable, match=r"own\.gguf died with status 3: no such tensor"):
            await ask(local)
        assert 3 <= len(lives(model)) <= 4
        await until(lambda: len(pauses) == 9)
        assert local.ready() == "own.gguf died with status 3: no such tensor"
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_a_child_that_recovers_serves_again(model: Path) -> None:
    """Having been given up does not last: the next start that works is used."""

    async def pause(seconds: float) -> None:
        await asyncio.sleep(0)

    recovering = child(f"if len(open(told['model'] + '.lives').readlines()) < 5: sys.exit('not yet')\n{SERVE}")
    upstream = LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=recovering, pause=pause)
    async with opened(upstream) as local:
        with pytest.raises(UpstreamUnreachable, match="not yet"):
            await ask(local)
        await until(lambda: local.ready() is None)
        assert await ask(local)
    assert len(lives(model)) == 5


async def test_a_child_that_served_long_starts_counting_anew(model: Path) -> None:
    """Only deaths in a row lengthen the pause: these children served thirty seconds each, by the clock given."""
    pauses: list[float] = []
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 30
        return now

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0 if len(pauses) < 5 else 600)

    serves_and_dies = child("print(json.dumps({'address': 'http://127.0.0.1:1'}), flush=True)")
    upstream = LlamaCppUpstream(
        "local", SETTINGS, {"tiny": model}, Connections(), command=serves_and_dies, clock=clock, pause=pause
    )
    async with opened(upstream):
        await until(lambda: len(pauses) == 5)
    assert pauses == [0.5] * 5


async def test_a_child_that_is_not_ready_in_time_makes_a_call_time_out(model: Path) -> None:
    """The time is that for the first byte; the message says what the child is doing."""
    settings = msgspec.structs.replace(SETTINGS, first_byte_timeout_s=0.05)
    slow = child("time.sleep(600)")
    async with opened(LlamaCppUpstream("local", settings, {"tiny": model}, Connections(), command=slow)) as local:
        with pytest.raises(UpstreamTimeout, match=r"not ready within 0\.05 s: own\.gguf is loading"):
            await ask(local)


async def test_a_command_that_cannot_be_run_is_told(model: Path) -> None:
    """As any other failing start."""

    async def pause(seconds: float) -> None:
        await asyncio.sleep(0.001)

    upstream = LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=["/no/such"], pause=pause)
    async with opened(upstream) as local:
        with pytest.raises(UpstreamUnreachable, match="could not be started"):
            await ask(local)


async def test_a_missing_model_file_is_an_error_before_anything_is_started(tmp_path: Path, model: Path) -> None:
    """No child of the file that is there, either."""
    models = {"tiny": model, "lost": tmp_path / "lost.gguf"}
    upstream = LlamaCppUpstream("local", SETTINGS, models, Connections(), command=child(SERVE))
    with pytest.raises(ConfigurationError, match=r"upstreams\.local: there is no model file .*lost\.gguf"):
        await upstream.open()
    await upstream.aclose()
    assert lives(model) == []


async def test_a_model_that_is_not_configured_is_not_found(model: Path) -> None:
    """Nothing is loaded because a client names it."""
    upstream = LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=child(SERVE))
    with pytest.raises(ModelNotFound):
        await upstream.send(call("/etc/other.gguf"))


@pytest.mark.parametrize("body", [SERVE, "time.sleep(600)"], ids=["serving", "loading"])
async def test_no_child_is_left_after_closing(model: Path, body: str) -> None:
    """Whatever it was doing; and a call that waits for it fails at once."""
    async with opened(
        LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=child(body))
    ) as local:
        await until(lambda: bool(lives(model)))
    assert gone(lives(model)[0]["pid"])
    assert local.ready() == "own.gguf was stopped"
    with pytest.raises(UpstreamUnreachable, match="was stopped"):
        await ask(local)


@pytest.mark.parametrize("turns", range(4))
async def test_a_child_that_ends_as_it_is_closed_is_not_started_again(model: Path, turns: int) -> None:
    """A signal to the whole process group ends the child and stops the gateway at the same moment."""
    async with opened(
        LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=child(SERVE))
    ) as local:
        await ask(local)
        pid = lives(model)[0]["pid"]
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGTERM)
        for _ in range(turns):
            await asyncio.sleep(0.005)
        async with asyncio.timeout(30):
            await local.aclose()
    assert len(lives(model)) == 1


async def test_a_child_that_ignores_sigterm_is_killed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time to stop, here shortened."""
    monkeypatch.setattr("gateway.upstream.llamacpp._STOP_S", 0.1)
    stubborn = child(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVE}")
    async with opened(LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=stubborn)) as local:
        await ask(local)
    assert gone(lives(model)[0]["pid"])


async def test_a_child_that_talks_a_lot_does_not_block(model: Path) -> None:
    """Its stderr is read all the time, more than a pipe holds and lines longer than a buffer."""
    chatty = child(f"sys.stderr.write('x' * 1_000_000)\n{SERVE}")
    async with opened(LlamaCppUpstream("local", SETTINGS, {"tiny": model}, Connections(), command=chatty)) as local:
        assert await ask(local)


def test_a_child_ends_when_the_gateway_is_killed(model: Path) -> None:
    """SIGKILL leaves no time to clean up: the child sees the end of stdin. A pipe that only it holds tells when."""
    os.mkfifo(f"{model}.alive")
    holding = child(f"alive = open(told['model'] + '.alive', 'w')\n{SERVE}")
    gateway = f"""
        import asyncio
        from pathlib import Path
        from gateway.settings import LlamaCppSettings
        from gateway.upstream.llamacpp import LlamaCppUpstream

        async def main():
            settings = LlamaCppSettings()
            models = {{"tiny": Path({str(model)!r})}}
            upstream = LlamaCppUpstream("local", settings, models, connect=None, command={holding!r})
            await upstream.open()
            await asyncio.sleep(600)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(gateway)]
    with subprocess.Popen(command) as process, Path(f"{model}.alive").open("rb") as alive:  # noqa: S603
        process.kill()
        assert alive.read() == b""


@pytest.mark.model
async def test_a_real_model_answers() -> None:
    """The whole way: child, key, HTTP, a few tokens."""

    def connect(base_url: str, key: str) -> Upstream:
        return HttpUpstream("local", SETTINGS, base_url=base_url, api_key=key)

    models = {"smollm2-135m": resolve("smollm2-135m", models_dir())}
    async with opened(LlamaCppUpstream("local", SETTINGS, models, connect)) as local:
        body = msgspec.json.encode({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3})
        reply = await local.send(Call(model="smollm2-135m", body=body))
        answer = json.loads(await reply.read())
        await reply.aclose()
    assert reply.status == 200
    assert answer["model"] == "SmolLM2-135M-Instruct.Q4_1"
    assert answer["usage"]["completion_tokens"] == 3
