"""The bounds of client connections, and a count of the connections cut because of them.

A client that is slow on purpose costs the attacker nothing: every wait for a client ends after a time, and a full house
makes room. Knows no sockets: ``connection`` measures, the values and counts are here.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

from gateway.domain import Value

log = logging.getLogger(__name__)

Reason = Literal["silent", "slow head", "slow body", "slow reader", "crowded out", "no room"]

QUIET_S = 10.0
"""Seconds between two lines in the log, however many connections are cut."""
TAKEN_BYTES = 65_536
"""Bytes of waiting answers that a client must take in ``write_s``, or all of them if fewer wait."""


class ConnectionLimits(Value, frozen=True):
    """Times in seconds; a connection is cut up to ``look_s`` later."""

    silence_s: float = 30.0
    """Silence in the middle of a request."""
    head_s: float = 30.0
    """From the first byte of a request, or the connection's begin, to the end of the head."""
    body_s: float = 120.0
    """From the first byte of a request to the end of its body."""
    write_s: float = 30.0
    """Time to take ``TAKEN_BYTES`` of waiting answers."""
    kept_s: float = 75.0
    """Time without a request. Clients should close first: a request on its way to a closing server is lost."""
    connections: int = 10_000
    """Most open connections."""

    @property
    def look_s(self) -> float:
        """Seconds between two looks at a connection: no timer per request is needed."""
        return min(self.silence_s, self.head_s, self.body_s, self.write_s, self.kept_s) / 2

    def too_slow(self, still_s: float, age_s: float, *, in_head: bool) -> Reason | None:
        """Return the reason to wait no longer for the rest of a request of that age, silent for ``still_s``."""
        if still_s >= self.silence_s:
            return "silent"
        if in_head:
            return "slow head" if age_s >= self.head_s else None
        return "slow body" if age_s >= self.body_s else None


class WriteProgress:
    """The pace of a client in taking its answers: in time, or too slowly."""

    __slots__ = ("_since", "_taken", "written")

    def __init__(self, now: float) -> None:
        self.written = 0
        """Bytes given to the transport so far."""
        self._taken = 0
        self._since = now

    def stalled(self, waiting: int, now: float, write_s: float) -> bool:
        """Decide whether a client with ``waiting`` unsent bytes is too slow. Call it at every look."""
        taken = self.written - waiting
        if waiting == 0 or taken - self._taken >= TAKEN_BYTES:
            self._taken, self._since = taken, now
            return False
        return now - self._since >= write_s


class Cuts:
    """A count of cut connections by reason, summed up in the log. ``observe`` hears of every cut."""

    def __init__(
        self, observe: Callable[[Reason], None] = lambda reason: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._observe = observe
        self._clock = clock
        self._unlogged: Counter[Reason] = Counter()
        self._logged_at = -QUIET_S

    def note(self, reason: Reason) -> None:
        """Count a connection that is about to be cut."""
        self._observe(reason)
        self._unlogged[reason] += 1
        now = self._clock()
        if now - self._logged_at >= QUIET_S:
            counts = ", ".join(f"{number} {name}" for name, number in sorted(self._unlogged.items()))
            log.warning("connections cut: %s", counts, extra={"action": "connections.cut"})
            self._unlogged.clear()
            self._logged_at = now
