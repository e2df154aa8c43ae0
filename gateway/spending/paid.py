"""The book's money by process, so that Valkey can be told of it: a note a day, ``paid/2027-01-31``.

Only gateways with ``server.counters`` write it, and only about budgets. Each gives the sums of its own day, which only
grow: storing them twice changes nothing.
"""

from collections.abc import Mapping
from typing import Final

from gateway.quotas.meter import NANO, Kind
from gateway.quotas.payments import LEARNING as LEARNERS
from gateway.quotas.payments import OTHERS
from gateway.quotas.payments import Days as PaidDays
from gateway.spending.book import LEARNING, Days, rows_of
from gateway.store.base import Store
from gateway.store.notes import Note

Writers = dict[str, dict[str, float]]
"""US dollars by writer and subject, such as ``key team``."""
PAID = Note("paid", Writers)
LEARNER: Final = "learner-"
"""Beginning of the names of writers that learn."""
_ROUNDING_USD: Final = 1e-6
"""Sums of the same money in another order differ by less."""


def store_paid(store: Store, writer: str, days: PaidDays) -> None:
    """Store the sums of a writer; of two writers at once none loses any. Blocks; raises ``StoreError``."""
    for day, sums in days.items():

        def more(
            noted: dict[str, dict[str, float]] | None, sums: dict[str, float] = sums
        ) -> dict[str, dict[str, float]]:
            known = noted or {}
            return {**known, writer: {**known.get(writer, {}), **sums}}

        text = str(day)
        PAID.change(store, more, f"{text[:4]}-{text[4:6]}-{text[6:]}")


def shares_of(days: Days, paid: Mapping[str, Writers], first: str, kind: Kind, name: str) -> dict[str, int]:
    """Return the nano dollars spent from a day on by a key or a task, by writer.

    ``learning`` and ``others`` are what no writer has given.
    """
    shares: dict[str, float] = {}
    rest: dict[str, float] = {}
    for day, writers in paid.items():
        if day >= first:
            for writer, sums in writers.items():
                usd = sums.get(f"{kind} {name}", 0.0)
                if usd:
                    shares[writer] = shares.get(writer, 0.0) + usd
    rows = rows_of(days, first, kind, name)
    for silent, learnt in ((LEARNERS, True), (OTHERS, False)):
        in_book = sum(row.usd for row in rows if (row.arm == LEARNING) is learnt)
        given = sum(usd for writer, usd in shares.items() if writer.startswith(LEARNER) is learnt)
        rest[silent] = in_book - given
    shares |= {silent: usd for silent, usd in rest.items() if usd > _ROUNDING_USD}
    return {writer: round(usd * NANO) for writer, usd in shares.items()}
