"""Learning's money in the shared counters: under the same budget as clients, and once."""

import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from gateway.background import Background
from gateway.domain import Usage
from gateway.errors import Overloaded, RateLimited
from gateway.quotas.replicas import ReplicaCounts
from gateway.spending.book import LEARNING, SPEND, SpendBook, day_of, store_days
from gateway.spending.paid import LEARNER
from gateway.spending.purse import LearningPurse, purse_of
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from tests.counted_money import DAY, GROWN, MoneyGateway, begun, used
from tests.fakes import CONFIG, MoodyStore, free_port, settings
from tests.valkey import valkey

TASK = CONFIG.replace("[tasks.arithmetic]", "[tasks.sums]")
BUDGET = TASK.replace("grader = {", 'limits = { concurrent = 1 }\nbudget = { usd = 1, per = "day" }\ngrader = {')
PLACE = ("", "sums", LEARNING, "large")


@contextlib.asynccontextmanager
async def purse(url: str, store: Store, text: str = BUDGET) -> AsyncIterator[LearningPurse]:
    replicas = ReplicaCounts(url, f"{LEARNER}x", "closed", answer_s=5.0, texts=GROWN)
    made = settings(text)
    opened = LearningPurse(lambda: made, store, replicas, time.monotonic)
    async with opened.running(Background()):
        yield opened


async def test_learning_and_clients_share_a_budget_exactly() -> None:
    """Reserved before the call, and in the book once afterwards."""
    store = MemoryStore()
    async with valkey() as (url, _), purse(url, store) as learning:
        gateway = MoneyGateway(url, "a", store, budget=None, task=DAY)
        async with begun(gateway):
            claim = await learning.reserve("sums", 0.7)
            with pytest.raises(RateLimited):
                await gateway.claim(0.31)
            learning.pay(claim, PLACE, Usage(), 0.6)
            await learning.store()
            await gateway.step()
            await gateway.beat()
            assert await used(url, "task:sums") == (0.6, 0.0)
            await gateway.spend(0.4)
            with pytest.raises(RateLimited):
                await learning.reserve("sums", 0.001)
    (row,) = SPEND.read(store, day_of(time.time())) or ()
    assert (row.place, round(row.usd, 9), row.strong_usd) == (PLACE, 0.6, 0.0)


async def test_a_learner_without_counters_counts_beside_one_with_them() -> None:
    """By the book."""
    store = MemoryStore()
    async with valkey() as (url, _), purse(url, store) as learning:
        learning.pay(await learning.reserve("sums", 0.2), PLACE, Usage(), 0.2)
        book = SpendBook()
        book.add(time.time(), PLACE, Usage(), 0.3, 0.0)
        store_days(store, book.take())
        await learning.store()
        gateway = MoneyGateway(url, "a", store, budget=None, task=DAY)
        async with begun(gateway):
            assert await used(url, "task:sums") == (0.5, 0.0)


async def test_limits_are_for_clients() -> None:
    """Learning takes no place of theirs."""
    async with valkey() as (url, _), purse(url, MemoryStore()) as learning:
        claims = [await learning.reserve("sums", 0.1) for _ in range(3)]
        assert all(claims) and await learning.reserve("other", 9.0) is None
        for claim in claims:
            assert claim is not None
            claim.settle(0, None)
        assert await used(url, "task:sums") == (0.0, 0.0)


async def test_without_a_budget_the_payment_is_stored() -> None:
    """Whoever reads the book knows of it."""
    store = MemoryStore()
    async with valkey() as (url, _), purse(url, store, TASK) as learning:
        claim = await learning.reserve("sums", 0.1)
        learning.pay(claim, PLACE, Usage(), 0.1)
    assert claim is None and SPEND.read(store, day_of(time.time()))


async def test_without_counters_and_store_it_starts_all_the_same() -> None:
    """It reserves nothing then; the payments wait."""
    store = MoodyStore()
    store.down = True
    async with purse(f"valkey://127.0.0.1:{free_port()}", store) as learning:
        with pytest.raises(Overloaded):
            await learning.reserve("sums", 0.1)
        learning.pay(None, PLACE, Usage(), 0.1)
        store.down = False
    assert SPEND.read(store, day_of(time.time()))


def test_there_is_no_purse_without_counters() -> None:
    """The store alone decides."""
    made = settings(BUDGET)
    assert purse_of(lambda: made, MemoryStore(), time.monotonic) is None
    counted = settings(BUDGET.replace("[server]", '[server]\ncounters = "valkey://127.0.0.1:1/0"'))
    assert purse_of(lambda: counted, MemoryStore(), time.monotonic) is not None
