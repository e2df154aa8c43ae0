"""The process that records: who starts it, what it lets pass, and what is stored when it is killed. With real ones."""

import asyncio
import contextlib
import functools
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.background import Background
from gateway.store.recorder.child import NICE
from gateway.store.recorder.outbox import Connect, Outbox
from gateway.store.recorder.parent import SOCKET, own_recorder, recorder_for_workers, shared_recorder
from gateway.store.spool import SPOOL
from gateway.store.sql import SqlStore
from tests.test_store_writer import exchange, feedback

LIMIT_S = 60
LOWEST = 19
"""The nicest that a process can be."""
LETS_PASS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a database, as a gateway makes it before it starts a recorder."""
    SqlStore.open(tmp_path).close()
    return tmp_path


@contextlib.asynccontextmanager
async def outbox(connect: Connect, data: Path) -> AsyncIterator[Outbox]:
    made = Outbox(connect, spool=data / SPOOL, linger_s=0.0, pauses_s=(0.01, 0.02))
    async with made.running(Background()):
        yield made


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.01)


def children() -> Iterator[int]:
    """The recorders that this process has started."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    for pid in map(int, listed.split()):
        with contextlib.suppress(OSError):
            if b"gateway.store.recorder.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                yield pid


async def recorder() -> int:
    await until(lambda: list(children()))
    return next(children())


def stored(data: Path) -> list[str]:
    with contextlib.closing(SqlStore.open(data)) as store:
        return sorted(kept.id for kept in store.recorded(0, limit=1000)[0])


async def flushed(outbox: Outbox) -> None:
    assert await asyncio.to_thread(outbox.flush, LIMIT_S)


async def test_a_recorder_that_is_killed_is_followed_by_another(data: Path) -> None:
    """What it had not stored is sent again; feedback on it is acknowledged."""
    async with outbox(functools.partial(own_recorder, data), data) as box:
        for number in range(3):
            pid = await recorder()
            box.put(exchange(f"{number} before"))
            os.kill(pid, signal.SIGKILL)
            box.put(exchange(f"{number} after"))
            await until(lambda pid=pid: pid not in children())  # type: ignore[misc]  # bound at once
        await flushed(box)
        assert await box.feedback(feedback("2 after")) == "2 after"
    assert not list(children())
    assert stored(data) == sorted(f"{number} {when}" for number in range(3) for when in ("before", "after"))


async def test_a_recorder_lets_the_gateway_s_signals_pass_and_gives_way(data: Path) -> None:
    """A terminal and a process manager send them to all; the recorder ends when the gateway does."""
    async with outbox(functools.partial(own_recorder, data), data) as box:
        box.put(exchange("a"))
        await flushed(box)
        pid = await recorder()
        for number in LETS_PASS:
            os.kill(pid, number)
        box.put(exchange("b"))
        await flushed(box)
        assert await recorder() == pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(LOWEST, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
    assert stored(data) == ["a", "b"]


async def test_a_recorder_inherits_no_secret(data: Path) -> None:
    """A provider's key may stand in the gateway's environment."""
    strange = "PYTEST_CURRENT_TEST"  # as good as a key: no child's business
    async with outbox(functools.partial(own_recorder, data), data):
        inherited = Path(f"/proc/{await recorder()}/environ").read_bytes()  # noqa: ASYNC240 - a moment
    assert b"PATH=" in inherited and strange in os.environ and strange.encode() not in inherited


@pytest.mark.parametrize(
    ("command", "complaint"),
    [(["nowhere/at/all"], "cannot be started"), ([sys.executable, "-c", "raise SystemExit(3)"], "is not running")],
    ids=["no such program", "it ends at once"],
)
async def test_a_recorder_that_cannot_start_is_said(
    data: Path, command: list[str], complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The exchanges are in the spool at the end, for the next start."""
    connect = functools.partial(own_recorder, data, command=command)
    made = Outbox(connect, spool=data / SPOOL, close_s=0.05, pauses_s=(0.01, 0.02))
    async with made.running(Background()):
        made.put(exchange("a"))
        await until(lambda: complaint in caplog.text)
        assert made.error is not None
    assert stored(data) == [] and made.dropped == 0
    async with outbox(functools.partial(own_recorder, data), data):
        await until(lambda: stored(data) == ["a"])
    assert not (data / SPOOL).exists()


async def test_a_recorder_that_does_not_end_is_killed(data: Path) -> None:
    """A gateway that stops waits for nobody longer than it has to."""
    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)  # gateway.store.recorder.child"]
    made = Outbox(functools.partial(own_recorder, data, command=command, stop_s=0.05), spool=None, close_s=0.05)
    async with made.running(Background()):
        await recorder()
    assert not list(children())


async def test_workers_share_a_recorder_that_is_killed_and_starts_again(data: Path) -> None:
    """Each gets to know its own exchanges stored; feedback finds the other's."""
    folder = data / ("a folder with a long name " * 8)
    folder.mkdir(mode=0o700)
    connect = functools.partial(shared_recorder, folder)
    async with recorder_for_workers(data, folder):
        assert stat.S_ISSOCK((folder / SOCKET).stat().st_mode)
        async with outbox(connect, data) as first, outbox(connect, data) as second:
            for number in range(3):
                first.put(exchange(f"{number} first"))
                second.put(exchange(f"{number} second"))
                pid = await recorder()
                os.kill(pid, signal.SIGKILL)
                await until(lambda pid=pid: pid not in children())  # type: ignore[misc]  # bound at once
                await flushed(first)
                await flushed(second)
                assert await first.feedback(feedback(f"{number} second")) == f"{number} second"
    assert not list(children())
    assert len(stored(data)) == 6


async def test_without_a_shared_recorder_there_is_an_error(tmp_path: Path) -> None:
    """The worker serves on; what it has goes to the spool at its end."""
    async with outbox(functools.partial(shared_recorder, tmp_path), tmp_path) as box:
        await until(lambda: box.error is not None)
