"""Learning pays under its task's budget, and ends where that is used up."""

import dataclasses
from pathlib import Path

import pytest

from gateway.context import Configuration, LearnerContext
from gateway.domain import Usage
from gateway.errors import Overloaded, StoreError
from gateway.quotas.meter import Meter
from gateway.quotas.quotas import Claim, Quotas
from gateway.settings.quotas import Budget
from gateway.spending.book import LEARNING, SPEND, Place, SpendBook, store_days
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from optimizer.evaluation.bill import LearningBill
from optimizer.evaluation.budget import BudgetSpent
from tests.fakes import CONFIG, MoodyStore, settings
from tests.scripted import Weak, evaluator, questions

NOW = 1_798_761_600.0
PRICED = CONFIG.replace('model = "huge-1t"', 'model = "huge-1t"\nprice = { input = 1, output = 1 }')
BUDGET = PRICED.replace("grader = {", 'budget = { usd = 1, per = "day" }\ngrader = {')
USED = Usage(prompt_tokens=600_000)


def bill(store: Store, text: str = BUDGET, clock: list[float] | None = None) -> LearningBill:
    made, times = settings(text), clock or [0.0]
    configuration = Configuration(settings=made, upstreams={})
    context = LearnerContext(
        configuration=lambda: configuration, store=store, clock=lambda: times[0], wall_clock=lambda: NOW
    )
    return LearningBill(context, "arithmetic")


async def test_a_payment_is_in_the_book_of_the_task() -> None:
    """Under the arm of learning; nothing would have been paid without it."""
    store = MemoryStore()
    made = bill(store)
    made.pay("large", USED)
    made.pay("small", USED)  # it has no price
    await made.settle()
    (row,) = SPEND.read(store, "2027-01-01") or ()
    assert (row.place, row.usd, row.strong_usd) == (("", "arithmetic", LEARNING, "large"), 0.6, 0.0)


async def test_learning_ends_where_the_budget_is_used_up() -> None:
    """By its own payments or by clients'."""
    store, clock = MemoryStore(), [0.0]
    made = bill(store, clock=clock)
    await made.admit("large", USED)
    made.pay("large", USED)
    await made.admit("large", USED)
    book = SpendBook()
    book.add(NOW, ("team", "arithmetic", "weak", "small"), USED, 0.5)
    store_days(store, book.take())
    clock[0] += 1
    with pytest.raises(BudgetSpent, match="task 'arithmetic' is used up"):
        await made.admit("large", USED)


@pytest.mark.parametrize("text", [PRICED, BUDGET.replace('per = "day"', 'per = "day", then = "warn"')])
async def test_without_a_budget_that_refuses_it_goes_on(text: str) -> None:
    """The money is counted all the same."""
    store = MemoryStore()
    made = bill(store, text)
    for _ in range(3):
        made.pay("large", USED)
        await made.admit("large", USED)
    await made.settle()
    assert sum(row.usd for row in SPEND.read(store, "2027-01-01") or ()) == pytest.approx(1.8)


async def test_a_payment_waits_for_the_store() -> None:
    """It is not lost with it."""
    store = MoodyStore()
    made = bill(store)
    made.pay("large", USED)
    store.down = True
    with pytest.raises(StoreError):
        await made.settle()
    store.down = False
    await made.settle()
    assert SPEND.read(store, "2027-01-01")


async def test_every_paid_answer_is_billed_once(tmp_path: Path) -> None:
    """A remembered answer is free."""
    store = MemoryStore()
    learning = evaluator(tmp_path)
    learning.bill = bill(store)
    item, model = questions(1)[0], Weak()
    model.name = "large"
    for _ in range(2):
        await learning.ask(model, item.request, None, purpose="answer")
    await learning.bill.settle()
    (row,) = SPEND.read(store, "2027-01-01") or ()
    assert row.requests == 1


class FakePurse:
    """A purse in memory with so many dollars; it answers after ``away`` looks."""

    def __init__(self, usd: float, away: int = 0) -> None:
        self.left, self.away, self.paid = usd, away, 0.0
        self.claims: list[Claim] = []

    async def reserve(self, task: str, usd: float) -> Claim | None:
        if self.away:
            self.away -= 1
            raise Overloaded("the counters do not answer")
        meter = Meter("task", task)
        meter.budget = Budget(usd=self.left)
        quotas = Quotas(lambda: 100.0, lambda: NOW)
        self.claims.append(quotas.claim([meter], cost_usd=usd))
        return self.claims[-1]

    def pay(self, claim: Claim | None, place: Place, usage: Usage, usd: float) -> None:
        assert claim in self.claims and place == ("", "arithmetic", LEARNING, "large")
        self.paid += usd
        self.left -= usd

    async def store(self) -> None: ...


async def test_with_shared_counters_the_worst_case_is_reserved_before_a_call() -> None:
    """A budget that does not carry it ends learning; counters that are away are waited for."""
    made = bill(MemoryStore())
    shared = FakePurse(1.0, away=1)
    made._context = dataclasses.replace(made._context, purse=shared)
    claim = await made.admit("large", USED)
    made.pay("large", USED, claim)
    await made.settle()
    assert round(shared.paid, 9) == 0.6
    with pytest.raises(BudgetSpent, match="task 'arithmetic' is used up"):
        await made.admit("large", USED)


async def test_an_answered_call_holds_nothing_any_more(tmp_path: Path) -> None:
    """It is paid for."""
    learning, item, model = evaluator(tmp_path), questions(1)[0], Weak()
    learning.bill = bill(MemoryStore())
    shared = FakePurse(1000.0)
    learning.bill._context = dataclasses.replace(learning.bill._context, purse=shared)
    model.name = "large"
    await learning.ask(model, item.request, None, purpose="answer")
    (claim,) = shared.claims
    assert claim._meters == () and shared.paid > 0
