"""The process that learns: who starts it, and what it does to a gateway that it ends, or that ends.

Mostly with processes that only play; the last tests have the real one.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from gateway.services import Services
from gateway.settings import Settings
from gateway.store.sql import SqlStore
from optimizer.scheduling.leader import Leader
from optimizer.scheduling.process.child import NICE
from optimizer.scheduling.process.messages import Alive, frame
from optimizer.scheduling.process.parent import CHILD, learning
from tests.fakes import FakeUpstream
from tests.learning import fill, learning_settings, made, script

LIMIT_S = 180
LOWEST = 19
"""The nicest that a process can be."""
SETTINGS = 'schedule = "* * * * * *"\nsweep_s = 0.01\n'
PLAY = """
import os, pathlib, socket, sys, time
notes = pathlib.Path(sys.argv[1])
with notes.open("a") as file:
    file.write(f"{os.getpid()}\\n")
line = socket.socket(fileno=int(sys.argv[2]))
"""
UNTIL_CUT = "while line.recv(65536): pass"
ALIVE = f"""
while True:
    line.sendall({frame(Alive())!r})
    time.sleep(0.02)
"""


class Children:
    """What the processes that played have noted."""

    def __init__(self, folder: Path, play: str) -> None:
        self._notes = folder / "notes"
        self.command = [sys.executable, "-S", "-c", PLAY + play, str(self._notes)]

    @property
    def pids(self) -> list[int]:
        return [int(line) for line in self._notes.read_text().splitlines()] if self._notes.exists() else []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def ignores(pid: int) -> bool:
    """Whether a process lets pass what a terminal sends to all."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    return all(mask >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGHUP))


@contextlib.asynccontextmanager
async def gateway(folder: Path, command: Sequence[str], stop_s: float = 10, extra: str = "") -> AsyncIterator[Services]:
    """The part of a gateway that the learning process needs."""
    store = SqlStore.open(folder)
    services = made(FakeUpstream(script()), store, learning_settings(SETTINGS + extra, data_dir=str(folder)))
    try:
        async with learning(services.learner_context(), command=command, pauses_s=(0.01, 0.02), stop_s=stop_s):
            yield services
    finally:
        store.close()


async def test_a_process_that_ends_is_followed_by_another(tmp_path: Path) -> None:
    """However it ends, and however often."""
    children = Children(tmp_path, UNTIL_CUT)
    async with gateway(tmp_path, children.command):
        for count in range(1, 4):
            await until(lambda count=count: len(children.pids) == count)  # type: ignore[misc]  # bound at once
            os.kill(children.pids[-1], signal.SIGKILL)
        await until(lambda: len(children.pids) == 4)
    assert not any(map(alive, children.pids))


async def test_a_process_inherits_no_secret(tmp_path: Path) -> None:
    """A provider's key may stand in the gateway's environment; what learns runs graders and reads clients' texts."""
    strange = "PYTEST_CURRENT_TEST"  # as good as a key: no child's business
    children = Children(tmp_path, UNTIL_CUT)
    async with gateway(tmp_path, children.command):
        await until(lambda: len(children.pids) == 1)
        inherited = Path(f"/proc/{children.pids[0]}/environ").read_bytes()  # noqa: ASYNC240 - a moment
    assert b"PATH=" in inherited and strange in os.environ and strange.encode() not in inherited


async def test_the_metrics_tell_whether_somebody_learns(tmp_path: Path) -> None:
    """For an alarm: a gateway that serves says by nothing else that it has stopped learning."""
    children = Children(tmp_path, UNTIL_CUT)
    async with gateway(tmp_path, children.command) as services:
        await until(lambda: len(children.pids) == 1 and b"preceptor_learning 1.0" in services.telemetry.text())
        children.command.clear()
        children.command.append(str(tmp_path / "nowhere"))
        os.kill(children.pids[0], signal.SIGKILL)
        await until(lambda: b"preceptor_learning 0.0" in services.telemetry.text())


async def test_a_process_that_cannot_start_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With how it ended; it is tried again for ever."""
    children = Children(tmp_path, "sys.exit(3)")
    async with gateway(tmp_path, children.command):
        await until(lambda: len(children.pids) == 3)
    assert "the process that learns ended (exit code 3), another starts in 0.01 s" in caplog.messages


async def test_a_command_that_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same, for an installation that is broken."""
    async with gateway(tmp_path, [str(tmp_path / "nowhere")]):
        await until(lambda: any("No such file" in message for message in caplog.messages))


async def test_a_process_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """A gateway that stops waits for nobody longer than it has to."""
    children = Children(tmp_path, f"line.sendall({frame(Alive())!r})\nwhile True: time.sleep(60)")
    async with gateway(tmp_path, children.command, stop_s=0.1):
        await until(lambda: len(children.pids) == 1)
    assert not alive(children.pids[0])


async def test_a_process_that_still_starts_is_not_waited_for(tmp_path: Path) -> None:
    """A gateway may stop in the moment in which it begins to lead; the process has nothing to end."""
    children = Children(tmp_path, "while True: time.sleep(60)")
    async with asyncio.timeout(LIMIT_S), gateway(tmp_path, children.command, stop_s=10 * LIMIT_S):
        await until(lambda: len(children.pids) == 1)
    assert not alive(children.pids[0])


@pytest.mark.drill
async def test_a_process_that_hangs_is_killed_and_followed_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped, or held up by code that never lets go of the interpreter: it gives no sign of life."""
    children = Children(tmp_path, ALIVE)
    async with gateway(tmp_path, children.command, extra="hang_s = 1\n") as services:
        await until(lambda: len(children.pids) == 1)
        assert b"preceptor_learning_hangs 0.0" in services.telemetry.text()
        os.kill(children.pids[0], signal.SIGSTOP)
        await until(lambda: len(children.pids) > 1)
        assert not alive(children.pids[0])
        assert b"preceptor_learning_hangs 0.0" not in services.telemetry.text()
    assert any("it hung: no sign of life for 1 s; killed" in message for message in caplog.messages)


async def test_where_another_process_leads_none_is_started(tmp_path: Path) -> None:
    """Until that one lets go."""
    children = Children(tmp_path, UNTIL_CUT)
    other = Leader(tmp_path)
    assert other.claim()
    async with gateway(tmp_path, children.command):
        await asyncio.sleep(0.1)
        assert children.pids == []
        other.release()
        await until(lambda: len(children.pids) == 1)


async def test_a_process_ends_when_another_one_leads(tmp_path: Path) -> None:
    """The lock's file was replaced, and somebody else was faster to lock the new one."""
    children = Children(tmp_path, UNTIL_CUT)
    async with gateway(tmp_path, children.command):
        await until(lambda: len(children.pids) == 1)
        (tmp_path / "new.lock").touch()
        other = Leader(tmp_path)
        (tmp_path / "optimizer.lock").unlink()
        assert other.claim()
        await until(lambda: not alive(children.pids[0]))
        await asyncio.sleep(0.05)
        assert len(children.pids) == 1
    other.release()


async def test_a_gateway_without_a_task_has_no_such_process(tmp_path: Path) -> None:
    """It has nothing to learn, until it is given a task."""
    children = Children(tmp_path, UNTIL_CUT)
    async with gateway(tmp_path, children.command) as services:
        await until(lambda: len(children.pids) == 1)
    store = SqlStore.open(tmp_path)
    nothing = made(FakeUpstream(script()), store, Settings(server=services.settings.server))
    async with learning(nothing.learner_context(), command=children.command):
        await asyncio.sleep(0.1)
    store.close()
    assert len(children.pids) == 1


@pytest.mark.drill
async def test_the_real_one_learns(tmp_path: Path) -> None:
    """From what the store holds, with the gateway's models; what it has found is live in the gateway's store."""
    async with gateway(tmp_path, CHILD) as services:
        fill(services.store, 150)
        await until(lambda: any(cycle.outcome for cycle in services.store.cycles("arithmetic", limit=9)))
        assert services.store.active()
        first = services.store.cycles("arithmetic", limit=9)[-1]
    assert json.loads(first.outcome or b"")["verdict"] == "better"


async def test_the_real_one_gives_way(tmp_path: Path) -> None:
    """On one core for both, requests come first; and what a terminal says to all, it lets pass."""
    async with gateway(tmp_path, CHILD):
        nicer = min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, LOWEST)

        def below() -> list[int]:
            children = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
            return [pid for pid in children if ignores(pid) and os.getpriority(os.PRIO_PROCESS, pid) == nicer]

        await until(lambda: bool(below()))
        before = below()
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(before[0], number)
        await asyncio.sleep(0.2)
        assert below() == before
