"""The end of a child: in its own time, or forced; and told in words."""

import asyncio
import sys

import pytest

from gateway.child_process import ended, manner

LIMIT_S = 60


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


@pytest.mark.parametrize(("code", "words"), [(-9, "signal 9"), (1, "exit code 1"), (0, "exit code 0")])
def test_an_end_is_put_in_words(code: int, words: str) -> None:
    """As a log shows it."""
    assert manner(code) == words
