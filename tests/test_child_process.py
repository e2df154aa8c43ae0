"""The end of a child: in its own time, or forced; and told in words."""

import asyncio
import sys
from asyncio.subprocess import Process
from typing import cast

import pytest

from gateway.child_process import ended, manner

LIMIT_S = 60


class Child:
    """A child whose end is at a turn of the event loop, not in a system's own time."""

    def __init__(self) -> None:
        self.end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await self.end

    def kill(self) -> None:
        self.end.set_result(-9)


async def child(play: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", play)


async def test_a_child_that_ends_has_an_exit_code() -> None:
    """Its own."""
    assert await ended(await child("raise SystemExit(3)"), LIMIT_S) == 3


async def test_a_child_that_does_not_end_is_killed() -> None:
    """After the time it has for that."""
    assert await ended(await child("import time; time.sleep(600)"), 0.01) == -9


async def test_whoever_stops_waiting_leaves_no_child() -> None:
    """It is killed, and waited for, first."""
    process = await child("import time; time.sleep(600)")
    waiting = asyncio.create_task(ended(process, LIMIT_S))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert process.returncode == -9


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_in_the_moment_of_the_end_is_not_lost(turns: int) -> None:
    """Else a loop that keeps children would start the next one, and a gateway that stops would wait for it for ever."""
    process = Child()
    waiting = asyncio.create_task(ended(cast("Process", process), LIMIT_S))
    await asyncio.sleep(0.01)
    process.end.set_result(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        assert waiting.result() == 0


@pytest.mark.parametrize(("code", "words"), [(-9, "signal 9"), (1, "exit code 1"), (0, "exit code 0")])
def test_an_end_is_put_in_words(code: int, words: str) -> None:
    """As a log shows it."""
    assert manner(code) == words
