"""Signs of life in a silent stream: models think for minutes, and proxies cut a connection without a byte after one.

A single timer per stream; an event costs a look at the clock. The sign is a comment of SSE, ignored by every client.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

COMMENT = b": waiting for the model\n\n"


class Heartbeat:
    """Context manager: calls ``beat`` after every ``every_s`` seconds without an event. A call never meets another."""

    def __init__(self, every_s: float, beat: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._every_s = every_s
        self._beat = beat
        self._loop = asyncio.get_running_loop()
        self._moved = self._loop.time()
        self._task: asyncio.Task[None] | None = None

    def moved(self) -> None:
        """Note that an event was sent."""
        self._moved = self._loop.time()

    def __enter__(self) -> Self:
        self._timer = self._loop.call_later(self._every_s, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        silent_s = self._loop.time() - self._moved
        if silent_s >= self._every_s:
            if self._task is None or self._task.done():
                self._task = self._loop.create_task(self._beat())
            self._moved, silent_s = self._loop.time(), 0.0
        self._timer = self._loop.call_later(self._every_s - silent_s, self._look)
