"""The end of a child process: awaited, forced after some time, and put in words."""

import asyncio
import contextlib
from asyncio.subprocess import Process


async def ended(process: Process, stop_s: float) -> int:
    """Wait for the end of a child that was asked to end; kill it after ``stop_s`` seconds. Returns its exit code.

    A caller that is cancelled is told so, even in the moment of the child's end; the child is gone then.
    """
    waiting = asyncio.create_task(process.wait())
    try:
        # Neither wait_for, which loses a cancellation in that moment, nor asyncio.timeout: before Python 3.11.4 it does
        # not work in a task that is being cancelled.
        await asyncio.wait([waiting], timeout=stop_s)
    finally:
        if not waiting.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await waiting
    return waiting.result()


def manner(code: int) -> str:
    """Return the manner of an end by its exit code: ``signal 9`` or ``exit code 1``."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
