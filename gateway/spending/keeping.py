"""Keeps the store and the budgets of a process in line with its book, every second."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.errors import Conflict, StoreError
from gateway.quotas.meter import NANO, Kind, Meter
from gateway.quotas.periods import first_day
from gateway.quotas.quotas import Quotas
from gateway.spending.book import SPEND, Days, SpendBook, Spent, day_of, days_between, store_days
from gateway.store.base import Store

log = logging.getLogger(__name__)

INTERVAL_S = 1.0


class Totals:
    """The stored spending of current periods. Days before today are read once."""

    def __init__(self) -> None:
        self._past: dict[str, Sequence[Spent]] = {}

    def read(self, store: Store, first: str, today: str) -> Days:
        """Return the rows from a day until today. Blocks; raises ``StoreError``."""
        days: dict[str, Sequence[Spent]] = {}
        for day in days_between(first, today):
            rows = self._past.get(day)
            if rows is None:
                rows = SPEND.read(store, day) or ()
                if day < today:
                    self._past[day] = rows
            days[day] = rows
        return days


def nano_of(days: Days, first: str, kind: Kind, name: str) -> int:
    """Return the nano dollars spent from a day on by a key, or by a task with its learning."""
    usd = sum(
        row.usd
        for day, rows in days.items()
        if day >= first
        for row in rows
        if (row.task if kind == "task" else row.key) == name
    )
    return round(usd * NANO)


class Spending:
    """Keeps the store and the budgets of a process in line with its book."""

    def __init__(self, book: SpendBook, quotas: Quotas) -> None:
        self._book, self._quotas = book, quotas
        self._totals = Totals()

    async def step(self, store: Store, now: float) -> None:
        """Store what was counted, and tell the budgets what all have spent. Raises ``StoreError``."""
        self._quotas.begin_periods(now)
        budgets = [(meter, first_day(now, meter.budget.per)) for meter in self._quotas.meters if meter.budget]
        counted = self._book.take()
        if not counted and not budgets:
            return
        today = day_of(now)
        first = min((day for _, day in budgets), default=today)

        def work() -> Days:
            store_days(store, counted)
            return self._totals.read(store, first, today) if budgets else {}

        try:
            stored = await asyncio.to_thread(work)
        except BaseException:
            self._book.put_back(counted)
            raise
        for meter, day in budgets:
            meter.take_stored(
                nano_of(stored, day, meter.kind, meter.name), nano_of(counted, day, meter.kind, meter.name)
            )
            _warn(meter)

    async def keep(self, store: Store, clock: Callable[[], float], *, interval_s: float = INTERVAL_S) -> None:
        """Do so every second, until cancelled. Without the store, the counts wait in memory."""
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
