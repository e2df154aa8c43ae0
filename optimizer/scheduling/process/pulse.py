"""The pulse of the learning process: it hangs if nothing came from it for some time.

Silence is counted in looks, not by a clock. A gateway that was itself suspended for an hour finds the child's messages
in the socket at its next look, and counts a single silent look at most.
"""

import asyncio
from collections.abc import Awaitable, Callable

BEAT_S = 0.5
"""Seconds between two signs of life of the child."""
LOOKS = 10
"""Silent looks in a row that make a hang."""
_STARTS = 12
"""Times as many looks until the first sign of life: an interpreter starts slowly on a busy machine."""


class Pulse:
    """The signs of life of one child."""

    def __init__(self, hang_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """``hang_s`` is the silence, in seconds, that makes a hang."""
        self._look_s, self._sleep = hang_s / LOOKS, sleep
        self._left = LOOKS * _STARTS
        self.begun = False
        """There was a sign of life."""

    def beat(self) -> None:
        """Note a sign of life."""
        self.begun = True
        self._left = LOOKS

    async def stopped(self) -> None:
        """Return once the child hangs."""
        while self._left > 0:
            await self._sleep(self._look_s)
            self._left -= 1
