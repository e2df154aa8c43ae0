"""Keeps the store and the budgets of a process in line with its book, every second."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from gateway.errors import Conflict, StoreError
from gateway.quotas.meter import NANO, Kind, Meter
from gateway.quotas.periods import first_day, period_at
from gateway.quotas.quotas import Quotas
from gateway.quotas.replicas import ReplicaCounts
from gateway.spending.book import SPEND, Days, SpendBook, Spent, day_of, days_between, rows_of, store_days
from gateway.spending.paid import PAID, Writers, shares_of, store_paid
from gateway.store.base import Store
from gateway.store.notes import Note

log = logging.getLogger(__name__)

INTERVAL_S = 1.0

T = TypeVar("T")


class Totals(Generic[T]):
    """The stored notes of current periods, one a day.

    Days before yesterday are read once. Yesterday's last second may be stored after midnight.
    """

    def __init__(self, note: Note[T], missing: T) -> None:
        self._note, self._missing = note, missing
        self._past: dict[str, T] = {}

    def read(self, store: Store, first: str, today: str) -> Mapping[str, T]:
        """Return the notes from a day until today. Blocks; raises ``StoreError``."""
        days: dict[str, T] = {}
        yesterday = (dt.date.fromisoformat(today) - dt.timedelta(days=1)).isoformat()
        for day in days_between(first, today):
            noted = self._past.get(day)
            if noted is None:
                noted = self._note.read(store, day)
                if noted is None:
                    noted = self._missing
                if day < yesterday:
                    self._past[day] = noted
            days[day] = noted
        return days


def nano_of(days: Days, first: str, kind: Kind, name: str) -> int:
    """Return the nano dollars spent from a day on by a key, or by a task with its learning."""
    return round(sum(row.usd for row in rows_of(days, first, kind, name)) * NANO)


class Spending:
    """Keeps the store and the budgets of a process in line with its book."""

    def __init__(self, book: SpendBook, quotas: Quotas, replicas: ReplicaCounts | None = None) -> None:
        self._book, self._quotas, self._replicas = book, quotas, replicas
        self._totals: Totals[tuple[Spent, ...]] = Totals(SPEND, ())
        self._paid = Totals(PAID, {})

    async def step(self, store: Store, now: float) -> None:
        """Store the new counts, and give each budget the spending of all processes. Raises ``StoreError``."""
        self._quotas.begin_periods(now)
        budgets = [(meter, first_day(now, meter.budget.per)) for meter in self._quotas.meters if meter.budget]
        replicas = self._replicas
        counted, paid = self._book.take(), {} if replicas is None else replicas.payments.take()
        if not counted and not paid and not budgets:
            return
        today = day_of(now)
        first = min((day for _, day in budgets), default=today)

        def work() -> tuple[Days, Mapping[str, Writers]]:
            # Stored before the book and read after it: so the book never holds money of a writer that is missing here.
            if replicas is not None:
                store_paid(store, replicas.payments.writer, paid)
            store_days(store, counted)
            if not budgets:
                return {}, {}
            days = self._totals.read(store, first, today)
            return days, {} if replicas is None else self._paid.read(store, first, today)

        try:
            stored, writers = await asyncio.to_thread(work)
        except BaseException:
            self._book.put_back(counted)
            if replicas is not None:
                replicas.payments.put_back(paid)
            raise
        for meter, day in budgets:
            meter.take_stored(
                nano_of(stored, day, meter.kind, meter.name), nano_of(counted, day, meter.kind, meter.name)
            )
            if replicas is not None and meter.budget is not None:
                shares = shares_of(stored, writers, day, meter.kind, meter.name)
                replicas.know(meter, period_at(now, meter.budget.per), shares)
            _warn(meter)

    async def keep(self, store: Store, clock: Callable[[], float], *, interval_s: float = INTERVAL_S) -> None:
        """Take a step every second, until cancelled. Without the store, the counts wait in memory."""
        down = False
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.step(store, clock())
                down = False
            except (StoreError, Conflict) as error:
                if not down:
                    log.warning("spending cannot be stored: %s", error, extra={"action": "spending.keep"})
                down = True


def _warn(meter: Meter) -> None:
    if meter.budget is not None and meter.warned != meter.period and meter.money_left() <= 0:
        meter.warned = meter.period
        log.warning(
            "the budget of %s %r is used up: $%g a %s", meter.kind, meter.name, meter.budget.usd, meter.budget.per,
            extra={"action": "budget.spent", "then": meter.budget.then},
        )  # fmt: skip
