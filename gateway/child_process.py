"""The end of a child process: awaited, forced after some time, and put in words."""

import asyncio
import contextlib
from asyncio.subprocess import Process


async def ended(process: Process, stop_s: float) -> int:
    """Wait for the end of a child that was asked to end; kill it after ``stop_s`` seconds. Returns its exit code."""
    try:
        # Not asyncio.timeout: before Python 3.11.4 it does not work in a task that is being cancelled.
        return await asyncio.wait_for(process.wait(), stop_s)  # noqa: TID251 - the same
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        code = await process.wait()
        if not isinstance(error, TimeoutError):
            raise
        return code


def manner(code: int) -> str:
    """Return the manner of an end by its exit code: ``signal 9`` or ``exit code 1``."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
