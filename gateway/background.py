"""Background loops: work beside the requests, such as watching the store for new rules.

Every loop runs under a supervisor, so none ends in silence. An unexpected exception is logged, and the loop starts
again after a pause; the pauses double up to a limit. Does not know any of the loops.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

log = logging.getLogger(__name__)

State = Literal["running", "failed", "ended"]
"""``failed``: waiting for its next start. ``ended``: returned or cancelled."""
PAUSES_S: Final = (1.0, 60.0)
"""Seconds of the first and of the longest pause before a loop starts again."""


def _ignore(name: str, state: State) -> None:
    """Tell nobody of a change of state."""


class Background:
    """The background loops of one process. ``observe`` hears of every change of state; ``clock`` is in seconds."""

    def __init__(
        self,
        *,
        observe: Callable[[str, State], None] = _ignore,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._observe = observe
        self._clock = clock
        self._sleep = sleep
        self._failures: dict[str, str] = {}

    @property
    def failures(self) -> Mapping[str, str]:
        """The type of the last error, by name, for loops waiting for their next start."""
        return MappingProxyType(self._failures)

    @contextlib.asynccontextmanager
    async def running(
        self, name: str, loop: Callable[[], Awaitable[None]], *, pauses_s: tuple[float, float] = PAUSES_S
    ) -> AsyncIterator[None]:
        """Run ``loop()`` while the context is open, and start it again whenever it raises an ``Exception``.

        Leaving the context cancels the loop and waits for its end, so nested contexts stop in reverse order. A loop is
        not started again after it returns. ``name`` appears in logs and metrics, such as ``rules.watch``. ``pauses_s``
        are the first and the longest pause; after a run longer than the longest pause, the first comes again.
        """
        task = asyncio.create_task(self._supervise(name, loop, pauses_s), name=name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _supervise(self, name: str, loop: Callable[[], Awaitable[None]], pauses_s: tuple[float, float]) -> None:
        first, longest = pauses_s
        pause, known = first, ""
        try:
            while True:
                began = self._clock()
                self._observe(name, "running")
                try:
                    await loop()
                except Exception as error:  # noqa: BLE001 - the next line logs it
                    if self._clock() - began > longest:
                        pause = first
                    self._note_failure(name, error, pause, known)
                    known = repr(error)
                    if _stopping():
                        return
                else:
                    return
                await self._sleep(pause)
                self._failures.pop(name, None)
                pause = min(2 * pause, longest)
        finally:
            self._failures.pop(name, None)
            self._observe(name, "ended")

    def _note_failure(self, name: str, error: Exception, pause: float, known: str) -> None:
        """Log an error; its traceback only when it differs from the ``known`` one before it."""
        self._failures[name] = type(error).__name__
        self._observe(name, "failed")
        log.error(
            "%s failed (%s) and starts again in %g s", name, type(error).__name__, pause,
            exc_info=error if repr(error) != known else None,
            extra={"action": "background.failed", "loop": name},
        )  # fmt: skip


def _stopping() -> bool:
    """Return whether the running task was cancelled, even if an error of its clean-up hides the cancellation."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
