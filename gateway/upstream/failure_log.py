"""Log lines about the failures of an upstream that retries did not mend: the first at once, then a count."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

QUIET_S = 10.0
"""Seconds between two lines about an upstream, however many calls fail."""


class FailureLog:
    """Notes failed calls. ``clock`` is monotonic, in seconds."""

    def __init__(self, upstream: str, clock: Callable[[], float]) -> None:
        self._upstream = upstream
        self._clock = clock
        self._logged_at: float | None = None
        self._unlogged = 0

    def note(self, what: str, attempts: int) -> None:
        """Note a call that failed for good. ``what`` holds no text of a client or a model."""
        self._unlogged += 1
        now = self._clock()
        if self._logged_at is not None and now - self._logged_at < QUIET_S:
            return
        more = f"; {self._unlogged - 1} more calls failed since the last line" if self._unlogged > 1 else ""
        log.warning(
            "upstream %r failed: %s (attempts: %d)%s", self._upstream, what, attempts, more,
            extra={"action": "upstream.failed", "upstream": self._upstream},
        )  # fmt: skip
        self._logged_at, self._unlogged = now, 0
