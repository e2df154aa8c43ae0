"""The memory of processes that live long and read large texts: settings of the C library's heap, and pages given back.

By default glibc keeps freed blocks of up to 32 MB, and gives each thread a heap of its own. A process with threads that
read bodies of megabytes grew to six times its use and stayed there. A C library without ``mallopt`` is left alone.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE: Final = 2**20
"""Bytes of a block with pages of its own, which go back to the system with it."""
_KEPT: Final = 4 * 2**20
"""Free bytes at the end of the heap that are kept for the next blocks."""
_HEAPS: Final = 2
"""The event loop's, and one for all other threads."""
LOOK_S: Final = 30.0
"""Seconds between two looks at the memory of the process."""
RAREST_TRY: Final = 16
"""Looks from one try to give memory back to the next, where memory is in use and little came of it."""
_SLACK: Final = 16 * 10**6
"""Bytes of growth that are left alone: giving back 100 MB holds the heap up for 10 ms."""


def keep_small() -> None:
    """Give large blocks back to the system as soon as they are free. Call it before threads begin."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _KEPT), (_M_ARENA_MAX, _HEAPS)):
            mallopt(option, value)


def collect_rarely() -> None:
    """Keep the garbage collector away from what is there now, and run it more rarely.

    Exchanges leave no cycles; a collection at every 700 of their objects took a sixth of the recorder's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def give_back() -> None:
    """Give free pages between blocks in use back to the system, 10 ms for 100 MB. Blocks.

    After large bodies, small blocks of longer life lie between the free ones, and the heap ends behind the last. Broken
    streams leave objects that hold each other, and Python keeps spare objects until a full collection.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Return the bytes of this process in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class _Mallinfo2(ctypes.Structure):
    """The account that glibc gives of its heaps, in bytes but for three counts."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    )  # fmt: skip


def spare() -> int:
    """Return the free bytes between blocks in use, pages given back among them; 0 where the C library does not tell."""
    with contextlib.suppress(OSError, AttributeError):
        mallinfo2 = ctypes.CDLL(None).mallinfo2
        mallinfo2.restype = _Mallinfo2
        return int(mallinfo2().fordblks)
    return 0


async def follow(
    size: Callable[[], int] = resident,
    trim: Callable[[], None] = give_back,
    free: Callable[[], int] = spare,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Give memory back, without end, at looks at which the process is larger than it has been.

    It belongs to a process that serves: every thread waits while one collects. So after a try that gave little back
    the next comes later, or at the first look at which more has become free.
    """
    low, pause, left, known = size(), 1, 1, 0
    while True:
        await sleep(LOOK_S)
        before = size()
        left -= 1
        if before <= low + _SLACK:
            low, pause, left = min(low, before), 1, 1
            continue
        if left > 0 and await asyncio.to_thread(free) <= known + _SLACK:
            continue
        await asyncio.to_thread(trim)
        after, known = size(), await asyncio.to_thread(free)
        low = min(low, after)
        pause = min(2 * pause, RAREST_TRY) if before - after < _SLACK else 1
        left = pause
