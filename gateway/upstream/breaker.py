"""A circuit breaker: after many failures in a row an upstream rests for a while, then a single request tries again.

A pure state machine over an injected clock. It is *closed* until ``failures`` calls in a row have failed. Then it is
*open*: no call is admitted for ``rest_s``, then one probe. A probe that succeeds closes the breaker; a probe that fails
begins a rest of twice the length. A probe without a result cannot wedge the breaker: after another rest the next probe
is admitted. Breakers that wait for their probe without a bound stayed open for days (getnora-io/nora#585,
resilience4j#935).

Knows nothing of replies and errors: ``upstream.guarded`` decides about failures.
"""

from collections.abc import Callable
from typing import Literal

Change = Literal["resting", "recovered"]
"""The breaker opened, or opened again; the breaker closed."""

LONGEST_REST_S = 60.0


class Breaker:
    """``clock`` is monotonic; times are in seconds. A ``rest_s`` above 60 is kept and not doubled."""

    def __init__(
        self, *, failures: int, rest_s: float, clock: Callable[[], float], changed: Callable[[Change], None]
    ) -> None:
        self._limit = failures
        self._first_rest_s = rest_s
        self._clock = clock
        self._changed = changed
        self.failures = 0
        """Failures in a row."""
        self._rest_s = rest_s
        self._until: float | None = None
        """When the next probe is admitted; ``None`` while closed."""
        self._period = 0
        """Number of times it has opened. A call carries the period of its admission: the result of a call from before
        the opening does not count afterwards."""

    @property
    def closed(self) -> bool:
        return self._until is None

    @property
    def rest_left_s(self) -> float:
        """Seconds until a call is admitted again; 0: now."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def admit(self) -> int | None:
        """Return a ticket for a call, to be given back with its result; ``None`` if no call is admitted."""
        if self._until is not None:
            now = self._clock()
            if now < self._until:
                return None
            self._until = now + self._rest_s
        return self._period

    def succeeded(self, ticket: int) -> None:
        """Count a success: the upstream did its part."""
        if ticket != self._period:
            return
        self.failures = 0
        if self._until is not None:
            self._until = None
            self._rest_s = self._first_rest_s
            self._changed("recovered")

    def failed(self, ticket: int) -> None:
        """Count a failure: the upstream did not do its part."""
        if ticket != self._period:
            return
        self.failures += 1
        if self._until is not None:
            self._rest_s = min(2 * self._rest_s, max(LONGEST_REST_S, self._first_rest_s))
        elif self.failures < self._limit:
            return
        self._until = self._clock() + self._rest_s
        self._period += 1
        self._changed("resting")

    def abandoned(self, ticket: int) -> None:
        """End a call that shows nothing about the upstream: the next call may be the probe in its place."""
        if ticket == self._period and self._until is not None:
            self._until = self._clock()
