"""The gateway as load balancers see it: it starts, serves, or is about to leave."""

import time
from collections.abc import Callable
from typing import Literal

State = Literal["starting", "serving", "leaving"]

_WATCHED_S = 60.0
"""Seconds after which a question about readiness no longer counts as somebody's interest."""


class Presence:
    """The phase of a serving process. ``clock`` is in seconds.

    A leaving process serves on, and asks its clients to come back on another connection.
    """

    __slots__ = ("_asked", "_clock", "_started", "leaving")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: float | None = None
        self._started = False
        self.leaving = False

    def asked(self, *, loads: bool) -> State:
        """Answer a question about readiness. ``loads``: an embedded model is not there; it matters only at first."""
        self._asked = self._clock()
        self._started = self._started or not loads
        if self.leaving:
            return "leaving"
        return "serving" if self._started else "starting"

    @property
    def watched(self) -> bool:
        """Somebody asked about readiness within the last minute: a load balancer, probably."""
        return self._asked is not None and self._clock() - self._asked < _WATCHED_S
