"""A circuit breaker: after many failures in a row an upstream is left alone for a while, then tried with one request.

A pure state machine over a clock that is passed in. It is *closed* until ``failures`` calls in a row have failed, then
*open*: nobody is admitted for ``rest_s``, then one probe. If that succeeds the breaker closes; if it fails the rest
begins anew, twice as long. A probe that neither succeeds nor fails cannot wedge the breaker: it holds the place for one
rest, then another may try; breakers that wait for their probe for ever stayed open for days (getnora-io/nora#585,
resilience4j#935).

Knows nothing of replies and errors: ``upstream.guarded`` decides what is a failure.
"""

from collections.abc import Callable
from typing import Literal

Change = Literal["resting", "recovered"]
"""The breaker opened, or opened again; the breaker closed."""

LONGEST_REST_S = 60.0


class Breaker:
    """``clock`` is monotonic, in seconds, as is ``rest_s``; a longer ``rest_s`` than 60 is kept, and not doubled."""

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
        """How often it has opened. A call carries the period of its admission, so that what was sent before the
        breaker opened says nothing about the time after."""

    @property
    def closed(self) -> bool:
        return self._until is None

    @property
    def rest_left_s(self) -> float:
        """Seconds until somebody is admitted again; 0 if that is now."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def admit(self) -> int | None:
        """The ticket of a call that may be made now, to be given back with what came of it; ``None`` if none may."""
        if self._until is not None:
            now = self._clock()
            if now < self._until:
                return None
            self._until = now + self._rest_s
        return self._period

    def succeeded(self, ticket: int) -> None:
        """The upstream did its part."""
        if ticket != self._period:
            return
        self.failures = 0
        if self._until is not None:
            self._until = None
            self._rest_s = self._first_rest_s
            self._changed("recovered")

    def failed(self, ticket: int) -> None:
        """The upstream did not do its part."""
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
        """The call ended without telling anything about the upstream: the next one may be the probe in its place."""
        if ticket == self._period and self._until is not None:
            self._until = self._clock()
