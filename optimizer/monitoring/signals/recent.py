"""The newest exchanges, in bounded memory, to find questions asked again.

Under traffic too heavy for the whole window, only quick repetitions are found. Nothing is written here and nothing is
lost: a new process fills the window from the store.
"""

from collections import defaultdict
from collections.abc import Iterable
from sys import getsizeof

from gateway.domain import Exchange
from optimizer.dataset.repeated_questions import repeated_questions

WITHIN_S = 600.0
"""Seconds after a reply within which the same question counts as asked again."""
EVERY_S = 60.0
"""Seconds between two searches: one of 4,000 exchanges takes 0.4 s of a core (2 KB each)."""
MOST = 4_000
"""Exchanges that are kept."""
MOST_BYTES = 32 * 2**20
"""Bytes of requests and replies that are kept."""


class Recent:
    """A window on the traffic of all tasks, oldest first. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self._kept: dict[str, Exchange] = {}
        self._bytes = 0
        self._cut = False
        self._reported: set[str] = set()
        self._searched: float | None = None

    def add(self, exchanges: Iterable[Exchange]) -> None:
        """Keep each exchange with a task, a caller and a recorded reply, once."""
        for exchange in exchanges:
            known = exchange.id in self._kept
            if not known and exchange.task is not None and exchange.arm != "shadow" and exchange.reply is not None:
                self._kept[exchange.id] = exchange
                self._bytes += _size(exchange)
                while len(self._kept) > MOST or self._bytes > MOST_BYTES:
                    self._cut = True
                    self._drop()

    def repeated_questions(self, now: float) -> list[Exchange]:
        """Return the unreported exchanges with a repeated question; nothing within ``EVERY_S`` of the last search."""
        if self._searched is not None and 0 <= now - self._searched < EVERY_S:
            return []
        self._searched = now
        while self._kept and self._oldest() < now - 2 * WITHIN_S - EVERY_S:
            self._drop()
            self._cut = False
        by_task: dict[str | None, list[Exchange]] = defaultdict(list)
        for exchange in self._kept.values():
            by_task[exchange.task].append(exchange)
        repeated = {
            id_
            for group in by_task.values()
            for id_ in repeated_questions(group, now=now, within_s=self._within_s(now))
        }
        self._reported &= repeated
        new = repeated - self._reported
        return [exchange for exchange in self._kept.values() if exchange.id in new]

    def mark_reported(self, exchanges: Iterable[Exchange]) -> None:
        """Bring these up no more: they are in the store."""
        self._reported.update(exchange.id for exchange in exchanges)

    def _within_s(self, now: float) -> float:
        """The waiting time of a verdict, in seconds: an exchange must still be here at its end, with all that came
        after.
        """
        if not self._cut or not self._kept:
            return WITHIN_S
        return min(WITHIN_S, max(0.0, (now - self._oldest()) / 2))

    def _oldest(self) -> float:
        return next(iter(self._kept.values())).created

    def _drop(self) -> None:
        self._bytes -= _size(self._kept.pop(next(iter(self._kept))))


def _size(exchange: Exchange) -> int:
    """Return the bytes in memory: a text has up to four for each character."""
    return len(exchange.request) + getsizeof(exchange.reply or "")
