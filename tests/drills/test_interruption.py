"""A run that is killed goes on where it was: the same result, and no answer paid for twice, counted at the upstream."""

import asyncio
import contextlib
import functools
import json
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from optimizer.demo.loopback import loopback_server
from tests.fakes import completion, read_request
from tests.learning import EXTRA
from tests.shell import configure, examples, teacher

KILLS = 10
SEED = 20240816


class Upstream:
    """Counts the calls that it was asked for, and those that it answered; sends a signal at the call ``at``."""

    def __init__(self) -> None:
        self.received: Counter[bytes] = Counter()
        self.answered: Counter[bytes] = Counter()
        self.at: int | None = None
        self.signal = signal.SIGKILL
        self.child: Process | None = None

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, body = await read_request(reader)
            self.received[body] += 1
            if self.at is not None and len(self.received) >= self.at:
                self.at = None
                assert self.child is not None
                self.child.send_signal(self.signal)
                if self.signal == signal.SIGKILL:
                    return  # nobody is there any more to be answered
            text = teacher(json.loads(body))
            assert isinstance(text, str)
            payload = completion(text)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
            self.answered[body] += 1
            writer.write(head.encode() + payload)
            await writer.drain()


class Runs:
    """``preceptor distill`` as a process of its own, on one data folder."""

    def __init__(self, folder: Path, upstream: Upstream, address: str, *, concurrency: int) -> None:
        folder.mkdir()
        self._upstream = upstream
        self._command = [
            sys.executable, "-m", "gateway", "distill", "arithmetic", "--json",
            "-c", str(folder / "preceptor.toml"), "--data", examples(folder, 150),
        ]  # fmt: skip
        configure(folder / "preceptor.toml", address, EXTRA + f"concurrency = {concurrency}\n")

    async def run(self, *, at: int | None = None, ending: signal.Signals = signal.SIGKILL) -> tuple[int, bytes, bytes]:
        """Run it, sending a signal when the upstream has seen ``at`` different calls; exit code, output, errors."""
        child = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        self._upstream.child, self._upstream.at, self._upstream.signal = child, at, ending
        out, err = await child.communicate()
        assert child.returncode is not None
        return child.returncode, out, err


@contextlib.asynccontextmanager
async def runs_on(folder: Path, upstream: Upstream, *, concurrency: int) -> AsyncIterator[Runs]:
    async with loopback_server(functools.partial(Upstream.connected, upstream)) as address:
        yield Runs(folder, upstream, address, concurrency=concurrency)


def result(out: bytes) -> dict[str, Any]:
    """What a run found: everything but what it paid itself, and how long the answers took."""
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    for arm in (found["before"], found["after"], *(one["measured"] for one in found["tried"])):
        del arm["latency_s"]
    return {key: value for key, value in found.items() if key not in ("calls", "tokens")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Counter[bytes]]:
    """A run that nothing disturbs: what it finds, and the calls that it takes."""
    upstream = Upstream()
    async with runs_on(tmp_path_factory.mktemp("whole") / "data", upstream, concurrency=1) as runs:
        code, out, err = await runs.run()
    assert code == 0, err
    return result(out), upstream.answered


async def test_killed_at_ten_random_points_it_comes_to_the_same_end_and_pays_for_nothing_twice(
    whole: tuple[dict[str, Any], Counter[bytes]], tmp_path: Path
) -> None:
    """SIGKILL, in the middle of a call each time, which alone is sent again: nobody had answered it."""
    expected, calls = whole
    points = sorted(random.Random(SEED).sample(range(2, len(calls)), KILLS))
    upstream = Upstream()
    async with runs_on(tmp_path / "data", upstream, concurrency=1) as runs:
        for at in points:
            code, _, err = await runs.run(at=at)
            assert code == -signal.SIGKILL, err
        code, out, err = await runs.run()
    assert code == 0, err
    assert result(out) == expected
    # Two candidates may ask for the same second pass, and a kill may keep an answer that would have been dropped: less
    # is paid then, never more.
    assert not upstream.answered - calls
    assert upstream.received.total() - upstream.answered.total() == KILLS


async def test_ctrl_c_finishes_what_is_under_way_and_says_how_to_go_on(
    whole: tuple[dict[str, Any], Counter[bytes]], tmp_path: Path
) -> None:
    """So that not one call is sent twice."""
    expected, calls = whole
    upstream = Upstream()
    async with runs_on(tmp_path / "data", upstream, concurrency=4) as runs:
        code, _, err = await runs.run(at=len(calls) // 2, ending=signal.SIGINT)
        assert code == 130
        assert b"run the same command again" in err.splitlines()[-1]
        code, out, err = await runs.run()
    assert code == 0, err
    assert result(out) == expected
    assert upstream.received == upstream.answered == calls
