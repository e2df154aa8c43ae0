"""Budgets and the store: what was spent survives a restart and is known to every gateway on the store."""

import asyncio
import logging

import pytest

from gateway.domain import Usage
from gateway.errors import RateLimited, StoreError
from gateway.quotas.meter import NANO, Meter
from gateway.quotas.quotas import Quotas
from gateway.settings.quotas import NO_LIMITS, Budget
from gateway.spending.book import LEARNING, SPEND, SpendBook, store_days
from gateway.spending.keeping import Spending, Totals, nano_of
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from tests.fakes import MoodyStore

NOW = 1_798_900_000.0
"""The 2nd of January 2027."""
SECTION = Budget(usd=1.0, per="month")


class Process:
    """A gateway's budgets of the key ``team`` and the task ``sums``, over a store."""

    def __init__(self, store: Store, budget: Budget = SECTION) -> None:
        self.store, self.now = store, NOW
        self.book = SpendBook()
        self.quotas = Quotas(lambda: 100.0, lambda: self.now)
        self.quotas.configure({("key", "team"): (NO_LIMITS, budget), ("task", "sums"): (NO_LIMITS, budget)})
        self.spending = Spending(self.book, self.quotas)

    @property
    def key(self) -> Meter:
        return self.quotas.of("team", None)[0]

    @property
    def task(self) -> Meter:
        return self.quotas.of(None, "sums")[0]

    def ask(self, usd: float, reserved: float = 0.0) -> None:
        claim = self.quotas.claim(self.quotas.of("team", "sums"), cost_usd=reserved)
        claim.settle(0, usd)
        self.book.add(self.now, ("team", "sums", "weak", "small"), Usage(), usd)

    async def step(self) -> None:
        await self.spending.step(self.store, self.now)


async def test_what_was_spent_survives_a_restart() -> None:
    """Of the whole period, before the first request is answered."""
    store = MemoryStore()
    first = Process(store)
    first.ask(0.7)
    await first.step()
    assert (first.key.spent, first.key.stored) == (0, 7 * NANO // 10)
    second = Process(store)
    await second.step()
    second.ask(0.3)
    with pytest.raises(RateLimited, match="used up"):
        second.ask(0.1, reserved=0.001)


async def test_gateways_on_a_store_share_a_budget_within_a_step() -> None:
    """Each knows what the others have stored, and its own money once."""
    store = MemoryStore()
    gateways = [Process(store), Process(store)]
    for _ in range(2):
        for process in gateways:
            process.ask(0.2)
    for process in (*gateways, *gateways):
        await process.step()
    assert [process.key.money_used() for process in gateways] == [8 * NANO // 10] * 2
    with pytest.raises(RateLimited):
        gateways[0].ask(0.2, reserved=0.3)


async def test_the_learner_s_bill_counts_under_its_task() -> None:
    """Not under a key."""
    store = MemoryStore()
    book = SpendBook()
    book.add(NOW, ("", "sums", LEARNING, "large"), Usage(), 0.6, 0.0)
    store_days(store, book.take())
    process = Process(store)
    await process.step()
    assert (process.task.money_used(), process.key.money_used()) == (6 * NANO // 10, 0)


async def test_a_new_month_begins_with_nothing_spent() -> None:
    """A day's budget with every day."""
    store = MemoryStore()
    process = Process(store)
    process.ask(1.0)
    await process.step()
    process.now += 31 * 86_400
    await process.step()
    assert process.key.money_used() == 0
    process.ask(0.5, reserved=0.9)
    await process.step()
    assert process.key.money_used() == NANO // 2


async def test_without_the_store_the_counts_wait(caplog: pytest.LogCaptureFixture) -> None:
    """The budgets hold from memory, the log says it once, and nothing is missing afterwards."""
    store = MoodyStore()
    process = Process(store)
    store.down = True
    process.ask(0.4)
    with pytest.raises(StoreError):
        await process.step()
    keeping = asyncio.create_task(process.spending.keep(store, lambda: process.now, interval_s=0.001))
    async with asyncio.timeout(30):
        while "spending cannot be stored" not in caplog.text:
            await asyncio.sleep(0.001)
        process.ask(0.4)
        with pytest.raises(RateLimited):
            process.ask(0.4, reserved=0.4)
        store.down = False
        while not SPEND.read(store, "2027-01-02"):
            await asyncio.sleep(0.001)
    keeping.cancel()
    await asyncio.sleep(0)
    await process.step()
    (row,) = SPEND.read(store, "2027-01-02") or ()
    assert round(row.usd, 9) == 0.8 and process.key.money_used() == 8 * NANO // 10
    assert caplog.text.count("spending cannot be stored") == 1


@pytest.mark.parametrize("then", ["warn", "refuse"])
async def test_an_empty_budget_is_said_once(then: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever follows from it."""
    process = Process(MemoryStore(), Budget(usd=1.0, per="month", then=then))  # type: ignore[arg-type]
    process.ask(1.5)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await process.step()
    assert caplog.text.count("the budget of key 'team' is used up: $1 a month") == 1
    if then == "warn":
        process.ask(1.5, reserved=1.0)


async def test_without_budgets_and_requests_the_store_is_left_alone() -> None:
    """Every second."""
    store = MoodyStore()
    store.down = True
    await Spending(SpendBook(), Quotas(lambda: 0.0, lambda: NOW)).step(store, NOW)


def test_days_before_yesterday_are_read_once() -> None:
    """They do not change any more; the last second of yesterday may come late."""
    store, totals = MemoryStore(), Totals(SPEND, ())
    book = SpendBook()
    book.add(NOW - 86_400, ("team", "", "direct", "m"), Usage(), 0.5)
    store_days(store, book.take())
    for today, nano in (("2027-01-02", NANO // 2), ("2027-01-03", NANO), ("2027-01-03", NANO)):
        days = totals.read(store, "2027-01-01", today)
        assert nano_of(days, "2027-01-01", "key", "team") == nano
        assert nano_of(days, "2027-01-02", "key", "team") == 0
        book.add(NOW - 86_400, ("team", "", "direct", "m"), Usage(), 0.5)
        store_days(store, book.take())
