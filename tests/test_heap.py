"""Freed blocks go back to the system; what needs a fresh heap is tried in a process of its own."""

import asyncio
import itertools
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest

from gateway.heap import LOOK_S, RAREST_TRY, follow, resident

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
    assert await _tries([100, 100, 200, 150, 150, 90, 120, 100]) == [2, 3, 4]


async def test_memory_that_stays_in_use_is_tried_ever_more_rarely() -> None:
    """A collection stops every thread: it must not come twice a minute for nothing."""
    tries = await _tries([100], then=140, looks=60)
    assert [later - earlier for earlier, later in itertools.pairwise(tries)] == [2, 4, 8, 16, 16]
    assert RAREST_TRY == 16


async def test_memory_that_has_become_free_is_given_back_at_the_next_look() -> None:
    """The tries before met prompts in use; 40 MB of them are free from the fifth look on."""
    assert await _tries([100], then=140, looks=6, free=lambda look: 40 if look >= 5 else 0) == [1, 3, 5]


async def _tries(
    sizes: list[int], *, then: int | None = None, looks: int = 99, free: Callable[[int], int] = lambda look: 0
) -> list[int]:
    """Return the looks at which memory was given back.

    ``sizes``, in MB: at the begin, at each look, and again after each try; ``then`` from there on, for so many looks.
    """
    left = iter(sizes)
    tries: list[int] = []
    look = 0

    async def sleep(seconds: float) -> None:
        nonlocal look
        assert seconds == LOOK_S
        look += 1
        if look > looks:
            raise asyncio.CancelledError

    def size() -> int:
        megabytes = next(left, then)
        if megabytes is None:
            raise asyncio.CancelledError
        return megabytes * 10**6

    with pytest.raises(asyncio.CancelledError):
        await follow(size, lambda: tries.append(look), lambda: free(look) * 10**6, sleep)
    return tries


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do not tell")
def test_what_is_free_in_the_heap_is_told() -> None:
    """A hundred megabytes in small blocks, freed."""
    program = """
from gateway.heap import spare
before = spare()
blocks = [bytearray(60_000) for _ in range(2000)]
kept = blocks[::2]
del blocks[:]
print((spare() - before) / 1e6)
"""
    assert 50 < _left("", program) < 130


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
