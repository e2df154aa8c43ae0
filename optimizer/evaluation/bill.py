"""The money of learning: paid under the budget of its task, in the book that gateways read, too."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from gateway.context import LearnerContext, Purse
from gateway.domain import Usage
from gateway.errors import Overloaded, RateLimited
from gateway.prices import cost_usd
from gateway.quotas.meter import NANO
from gateway.quotas.periods import first_day
from gateway.quotas.quotas import Claim
from gateway.spending.book import LEARNING, SPEND, SpendBook, day_of, store_days
from gateway.spending.keeping import Totals, nano_of
from optimizer.evaluation.budget import BudgetSpent

_LOOK_S = 1.0
_ATTEMPTS = 60
"""Looks at counters that do not answer."""


Pay = Callable[[Usage], None]


@contextlib.asynccontextmanager
async def nobody_pays() -> AsyncIterator[Pay]:
    """Yield a function that counts nothing: a call without a bill."""
    yield lambda usage: None


class LearningBill:
    """The payments of a task's learning, and the look at its budget. For a single event loop."""

    def __init__(self, context: LearnerContext, task: str) -> None:
        self._context, self._task = context, task
        self._book, self._totals = SpendBook(), Totals(SPEND, ())
        self._looked = float("-inf")
        self._lock = asyncio.Lock()
        self._spent = 0.0

    def pay(self, model: str, usage: Usage, claim: Claim | None = None) -> None:
        """Count an answer of a model, in the place of its reservation; one without a price is free."""
        cost, place = self._cost(model, usage), ("", self._task, LEARNING, model)
        if cost is None:
            return
        self._spent += cost
        if self._context.purse is not None:
            self._context.purse.pay(claim, place, usage, cost)
        else:
            # No client asked for it: with the strong model it would have cost nothing.
            self._book.add(self._context.wall_clock(), place, usage, cost, 0.0)

    def _cost(self, model: str, usage: Usage) -> float | None:
        section = self._context.settings.models.get(model)
        return None if section is None else cost_usd(section.price, usage)

    @contextlib.asynccontextmanager
    async def place(self, model: str, worst: Usage) -> AsyncIterator[Pay]:
        """Admit a call, and yield the function that pays for it. A call that fails costs nothing.

        Raises what ``admit`` raises.
        """
        claim = await self.admit(model, worst)
        try:
            yield lambda usage: self.pay(model, usage, claim)
        finally:
            if claim is not None:
                claim.settle(0, None)  # after a payment this changes nothing

    async def admit(self, model: str, worst: Usage) -> Claim | None:
        """Return the place of a call under the budget, to be settled; ``None`` without shared counters.

        ``worst`` is the most that the call may take. Raises ``BudgetSpent`` once the task's budget is used up, and
        ``Overloaded`` where the counters do not answer for a minute. Without counters the store is looked at each
        second.
        """
        if self._context.purse is not None:
            return await self._reserved(self._context.purse, self._cost(model, worst) or 0.0)
        section = self._context.settings.tasks.get(self._task)
        budget = None if section is None else section.budget
        async with self._lock:
            if self._context.clock() - self._looked >= _LOOK_S:
                await self.settle()
        if budget is not None and budget.then == "refuse" and self._spent >= budget.usd:
            raise BudgetSpent(
                f"the budget of task {self._task!r} is used up: ${self._spent:.2f} of ${budget.usd:g} a {budget.per}"
            )
        return None

    async def _reserved(self, purse: Purse, usd: float) -> Claim | None:
        for attempt in range(_ATTEMPTS):
            try:
                return await purse.reserve(self._task, usd)
            except RateLimited as error:
                raise BudgetSpent(error.message) from error
            except Overloaded:
                if attempt == _ATTEMPTS - 1:
                    raise
            await asyncio.sleep(_LOOK_S)
        raise AssertionError("the last attempt returns or raises")

    async def settle(self) -> None:
        """Store the payments, and read what the task has cost so far. Raises ``StoreError``."""
        if self._context.purse is not None:
            await self._context.purse.store()
            return
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
