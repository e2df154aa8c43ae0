"""The money of learning: paid under the budget of its task, in the book that gateways read, too."""

import asyncio

from gateway.context import LearnerContext
from gateway.domain import Usage
from gateway.prices import cost_usd
from gateway.quotas.meter import NANO
from gateway.quotas.periods import first_day
from gateway.spending.book import LEARNING, SPEND, SpendBook, day_of, store_days
from gateway.spending.keeping import Totals, nano_of
from optimizer.evaluation.budget import BudgetSpent

_LOOK_S = 1.0


class LearningBill:
    """The payments of a task's learning, and the look at its budget. For a single event loop."""

    def __init__(self, context: LearnerContext, task: str) -> None:
        self._context, self._task = context, task
        self._book, self._totals = SpendBook(), Totals(SPEND, ())
        self._looked = float("-inf")
        self._lock = asyncio.Lock()
        self._spent = 0.0

    def pay(self, model: str, usage: Usage) -> None:
        """Count an answer of a model; one without a price is free."""
        section = self._context.settings.models.get(model)
        cost = None if section is None else cost_usd(section.price, usage)
        if cost is not None:
            # No client asked for it: with the strong model it would have cost nothing.
            self._book.add(self._context.wall_clock(), ("", self._task, LEARNING, model), usage, cost, 0.0)
            self._spent += cost

    async def admit(self) -> None:
        """Raise ``BudgetSpent`` once the task's budget is used up; looks at the store every second."""
        section = self._context.settings.tasks.get(self._task)
        budget = None if section is None else section.budget
        async with self._lock:
            if self._context.clock() - self._looked >= _LOOK_S:
                await self.settle()
        if budget is not None and budget.then == "refuse" and self._spent >= budget.usd:
            raise BudgetSpent(
                f"the budget of task {self._task!r} is used up: ${self._spent:.2f} of ${budget.usd:g} a {budget.per}"
            )

    async def settle(self) -> None:
        """Store the payments, and read what the task has cost so far. Raises ``StoreError``."""
        context, now = self._context, self._context.wall_clock()
        self._looked = context.clock()
        section = context.settings.tasks.get(self._task)
        budget = None if section is None else section.budget
        counted = self._book.take()
        if not counted and budget is None:
            return
        first = first_day(now, budget.per) if budget is not None else day_of(now)

        def work() -> float:
            store_days(context.store, counted)
            return nano_of(self._totals.read(context.store, first, day_of(now)), first, "task", self._task) / NANO

        try:
            self._spent = await asyncio.to_thread(work)
        except BaseException:
            self._book.put_back(counted)
            raise
