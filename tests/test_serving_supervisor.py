"""The supervisor, with workers that only play: what ends is started again, what cannot start ends it, signals pass.

(What real workers are together is told in test_serving_worker.)
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from gateway.errors import PreceptorError
from gateway.http_server.listener import bind
from gateway.serving.supervisor import Workers

LIMIT_S = 60

WORKER = """
import json, os, pathlib, signal, sys, time
told = json.loads(sys.stdin.readline())
notes = pathlib.Path(told["notes"])
def note(what):
    with notes.open("a") as file:
        file.write(f"{told['number']} {os.getpid()} {what}\\n")
def stop(number, _):
    note(signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGHUP, lambda number, _: note("SIGHUP"))
os.fstat(told["listeners"][0])
PLAY
note("ready")
print("ready", flush=True)
while True:
    time.sleep(0.1)  # a signal just before a sleep is handled after it
"""


class Stage:
    """A supervisor under way, and what its workers noted."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self.said: list[list[tuple[int, int]]] = []
        """Which workers were ready whenever it said that requests are answered."""

    def ready(self) -> None:
        self.said.append(self.notes("ready"))

    def notes(self, what: str) -> list[tuple[int, int]]:
        """Number and process id of the workers that noted this."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [(int(number), int(pid)) for number, pid, noted in map(str.split, lines) if noted == what]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def workers(folder: Path, play: str = "", stop_s: float = 10) -> AsyncIterator[tuple[Stage, asyncio.Task[None]]]:
    """Two workers; ended by SIGTERM, as the supervisor's own process would be, if the test did not end them."""
    notes = folder / "notes"
    stage = Stage(notes)

    def told(number: int, descriptors: Sequence[int]) -> bytes:
        return b'{"number": %d, "listeners": %a, "notes": "%s"}\n' % (number, list(descriptors), str(notes).encode())

    command = (sys.executable, "-S", "-c", WORKER.replace("PLAY", play))
    made = Workers(2, [bind("127.0.0.1", 0)], told, stage.ready, stop_s=stop_s, pauses_s=(0.01, 0.02), command=command)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    running = asyncio.create_task(made.run())
    try:
        yield stage, running
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(LIMIT_S):
                await running
        loop = asyncio.get_running_loop()
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def test_the_first_worker_starts_alone(tmp_path: Path) -> None:
    """It prepares what all of them need; the others follow once it is ready."""
    async with workers(tmp_path, 'note("began")') as (stage, _):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
    assert [number for number, _ in stage.notes("ready")] == [0, 1]
    assert (tmp_path / "notes").read_text().splitlines()[1].endswith("ready")


async def test_it_is_ready_when_the_first_worker_is(tmp_path: Path) -> None:
    """And says so once, whatever ends and starts later."""
    async with workers(tmp_path) as (stage, _):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        os.kill(stage.notes("ready")[0][1], signal.SIGKILL)
        await stage.until(lambda: len(stage.notes("ready")) == 3)
    assert [[number for number, _ in ready] for ready in stage.said] == [[0]]


async def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    """Under its number, with a process of its own; the other goes on."""
    async with workers(tmp_path) as (stage, _):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        os.kill(stage.notes("ready")[1][1], signal.SIGKILL)
        await stage.until(lambda: len(stage.notes("ready")) == 3)
        os.kill(stage.notes("ready")[2][1], signal.SIGKILL)
        await stage.until(lambda: len(stage.notes("ready")) == 4)
    numbers, pids = zip(*stage.notes("ready"), strict=True)
    assert numbers == (0, 1, 1, 1)
    assert len(set(pids)) == 4
    assert {pid for _, pid in stage.notes("SIGTERM")} == {pids[0], pids[-1]}


async def test_workers_that_cannot_start_are_given_up(tmp_path: Path) -> None:
    """At once, with the number, the exit code and where to look."""
    async with workers(tmp_path, "sys.exit(3)") as (stage, running):
        with pytest.raises(PreceptorError, match=r"worker 0 could not start \(exit code 3\): see the log above"):
            await running
    assert stage.notes("ready") == []
    assert stage.said == []


async def test_a_bad_moment_of_all_workers_is_not_the_end(tmp_path: Path) -> None:
    """Both killed, and nothing to start with: they are tried until it is there again. What has served may serve."""
    away = tmp_path / "away"
    play = f'note("began")\nif os.path.exists("{away}"): sys.exit(1)'
    async with workers(tmp_path, play) as (stage, _):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        away.touch()
        for _, pid in stage.notes("ready"):
            os.kill(pid, signal.SIGKILL)
        await stage.until(lambda: len(stage.notes("began")) >= 6)
        assert len(stage.notes("ready")) == 2
        away.unlink()
        await stage.until(lambda: len(stage.notes("ready")) == 4)


async def test_a_worker_that_cannot_start_is_tried_again_while_another_serves(tmp_path: Path) -> None:
    """Requests go on, so nothing is given up; a file that is back lets it start."""
    there = tmp_path / "there"
    play = f'note("began")\nif told["number"] == 1 and not os.path.exists("{there}"): sys.exit(1)'
    async with workers(tmp_path, play) as (stage, running):
        await stage.until(lambda: len(stage.notes("began")) >= 4)
        assert [number for number, _ in stage.notes("ready")] == [0]
        there.touch()
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        assert not running.done()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_that_stops_it_reaches_every_worker(tmp_path: Path, how: signal.Signals) -> None:
    """As SIGTERM, which is silent also where Python itself is still starting; and nothing is started again."""
    async with workers(tmp_path) as (stage, running):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        os.kill(os.getpid(), how)
        async with asyncio.timeout(LIMIT_S):
            await running
    assert sorted(stage.notes("SIGTERM")) == sorted(stage.notes("ready"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_while_the_first_worker_starts_ends_all(tmp_path: Path, how: signal.Signals) -> None:
    """Without a failure; nobody is told that requests are answered."""
    async with workers(tmp_path, 'note("began")\nwhile True: time.sleep(0.1)') as (stage, running):
        await stage.until(lambda: len(stage.notes("began")) == 1)
        os.kill(os.getpid(), how)
        async with asyncio.timeout(LIMIT_S):
            await running
    assert stage.notes("SIGTERM") == stage.notes("began")
    assert stage.said == []


async def test_a_second_ctrl_c_reaches_every_worker(tmp_path: Path) -> None:
    """As itself: streams that are under way end at once."""
    waits = "signal.signal(signal.SIGTERM, lambda number, _: note('SIGTERM'))"
    async with workers(tmp_path, waits) as (stage, running):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        os.kill(os.getpid(), signal.SIGINT)
        await stage.until(lambda: len(stage.notes("SIGTERM")) == 2)
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(LIMIT_S):
            await running
    assert sorted(stage.notes("SIGINT")) == sorted(stage.notes("ready"))


async def test_sighup_reaches_every_worker(tmp_path: Path) -> None:
    """Each reads the configuration by itself, and goes on."""
    async with workers(tmp_path) as (stage, running):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
        await asyncio.sleep(0)  # the last word on stdout may still be on its way
        while len({number for number, _ in stage.notes("SIGHUP")}) < 2:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.02)
        assert not running.done()


async def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """After its time."""
    async with workers(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)", stop_s=0.1) as (stage, _):
        await stage.until(lambda: len(stage.notes("ready")) == 2)
    for _, pid in stage.notes("ready"):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
