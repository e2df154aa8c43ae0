"""Money paid, by process: all that this process has paid, and all that the store's book knows of every process.

Each amount belongs to a writer and only grows. Of two amounts of a writer the larger is the newer: so Valkey can be
told again and again, and nothing is forgotten or counted twice.
"""

from collections.abc import Mapping
from typing import Final

from gateway.quotas.meter import NANO
from gateway.quotas.periods import period_at

_DAYS_KEPT: Final = 62

LEARNING, OTHERS = "learning", "others"
"""Writers in the book that do not speak to Valkey: all learning, and gateways without the counters."""
SILENT: Final = frozenset({LEARNING, OTHERS})

Days = dict[int, dict[str, float]]
"""US dollars by day, such as 20270131, and subject."""


class Payments:
    """The money that a process has paid, by subject and day. ``writer`` is its name, never used before."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self._paid: dict[str, dict[int, float]] = {}
        self._changed: set[tuple[int, str]] = set()

    def add(self, subject: str, now: float, usd: float) -> None:
        """Count a payment; ``now`` is its time, in seconds since the epoch."""
        day = period_at(now, "day")
        days = self._paid.setdefault(subject, {})
        if day not in days and len(days) >= _DAYS_KEPT:
            del days[min(days)]
        days[day] = days.get(day, 0.0) + usd
        self._changed.add((day, subject))

    def nano(self, subject: str, period: int) -> int:
        """Return the nano dollars paid in a day or a month."""
        return nano_in(self._paid.get(subject, {}), period)

    def take(self) -> Days:
        """Return the sums of every day and subject that have grown since the last call."""
        days: Days = {}
        for day, subject in self._changed:
            days.setdefault(day, {})[subject] = self._paid[subject].get(day, 0.0)
        self._changed = set()
        return days

    def put_back(self, days: Days) -> None:
        """Return sums again that could not be stored."""
        self._changed |= {(day, subject) for day, subjects in days.items() for subject in subjects}


class KnownBook:
    """The store's book as last read: nano dollars by subject, period and writer."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[int, Mapping[str, int]]] = {}

    def take(self, subject: str, period: int, writers: Mapping[str, int]) -> None:
        """Note what was read about the present period."""
        self._read[subject] = period, writers

    def of(self, subject: str, period: int) -> Mapping[str, int] | None:
        """Return the amounts by writer; ``None`` while the book was not read for the subject and period.

        A period that began after the reading has an empty book.
        """
        last, writers = self._read.get(subject, (0, {}))
        if last == period:
            return writers
        same_kind = last > 10**7 if period > 10**7 else 0 < last < 10**7
        return {} if same_kind and last < period else None


def nano_in(days: Mapping[int, float], period: int) -> int:
    """Return the nano dollars of the days in a period, a day or a month by its number."""
    if period > 10**7:
        return round(days.get(period, 0.0) * NANO)
    return round(sum(usd for day, usd in days.items() if day // 100 == period) * NANO)
