"""Freed blocks go back to the system; what needs a fresh heap is tried in a process of its own."""

import asyncio
import platform
import subprocess
import sys

import pytest

from gateway.heap import LONGEST_LOOK_S, LOOK_S, follow, resident

_READER = """
import sys, threading
from pathlib import Path
from gateway.heap import keep_small

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if sys.argv[1] == "small":
    keep_small()
del_first = bytes(20_000_000)
del del_first  # from now on glibc takes blocks of this size from the heap
before, kept = resident(), []

def read():
    for _ in range(20):
        texts = ["x" * 2_000_000 for _ in range(5)]
        kept.append("y" * 200_000)  # lies behind them, and stays
        del texts

for _ in range(4):
    reader = threading.Thread(target=read)
    reader.start()
    reader.join()
print(resident() - before - 16)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep their own ways")
def test_the_memory_of_large_texts_goes_back() -> None:
    """What is left beside the texts that are kept is a few megabytes; without the settings it is many."""
    left = {how: _left(how) for how in ("small", "usual")}
    assert left["small"] < 8 < left["usual"]


_FRAGMENTS = """
from gateway.heap import give_back, resident
before, kept, freed = resident(), [], []
for _ in range(2000):
    freed.append(bytearray(60_000))
    kept.append(bytearray(600))  # lies behind it, and stays
freed.clear()
if sys.argv[1] == "given back":
    give_back()
print((resident() - before) / 1e6)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep their own ways")
def test_pages_between_small_blocks_go_back() -> None:
    """Of 120 MB a few are left; by themselves they would stay."""
    left = {how: _left(how, "import sys" + _FRAGMENTS) for how in ("given back", "kept")}
    assert left["given back"] < 20 < left["kept"]


async def test_memory_is_given_back_while_the_process_is_larger_than_it_was() -> None:
    """At each look, until it is about as small as it has ever been."""
    pauses, trims = await _looks([100, 100, 200, 150, 150, 90, 120, 100])
    assert trims == [2, 3, 4] and set(pauses) == {LOOK_S}


async def test_memory_that_stays_in_use_is_looked_at_ever_more_rarely() -> None:
    """A collection stops every thread: it must not come twice a minute for nothing."""
    grown = [140, 140] * 6
    pauses, trims = await _looks([100, *grown, 180, 110])
    assert trims == [1, 2, 3, 4, 5, 6, 7]
    assert pauses == [LOOK_S * n for n in (1, 2, 4, 8, 16, 16, 16, 1)] and pauses[-2] == LONGEST_LOOK_S


async def _looks(sizes: list[int]) -> tuple[list[float], list[int]]:
    """Return the pauses before each look, and the looks that gave memory back.

    ``sizes``, in MB: at the begin, at each look, and again after each trim.
    """
    left = iter(sizes)
    pauses: list[float] = []
    trims: list[int] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    def size() -> int:
        megabytes = next(left, None)
        if megabytes is None:
            raise asyncio.CancelledError
        return megabytes * 10**6

    with pytest.raises(asyncio.CancelledError):
        await follow(size, lambda: trims.append(len(pauses)), sleep)
    return pauses, trims


def test_a_process_has_a_size() -> None:
    """An interpreter takes some megabytes at least."""
    assert resident() > 5 * 10**6


def _left(how: str, program: str = _READER) -> float:
    ran = subprocess.run((sys.executable, "-c", program, how), capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return float(ran.stdout)


def test_collections_are_rare_afterwards_and_pass_over_what_was_there() -> None:
    """In a process of its own: the collector belongs to all tests."""
    code = """
import gc
from gateway.heap import collect_rarely
collect_rarely()
print(*gc.get_threshold(), gc.get_freeze_count() > 1_000)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - our own
    assert done.stdout.split() == ["50000", "20", "50", "True"]
