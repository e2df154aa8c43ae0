"""Learning pays under its task's budget, and ends where that is used up."""

from pathlib import Path

import pytest

from gateway.context import Configuration, LearnerContext
from gateway.domain import Usage
from gateway.errors import StoreError
from gateway.spending.book import LEARNING, SPEND, SpendBook, store_days
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
    await made.admit()
    made.pay("large", USED)
    await made.admit()
    book = SpendBook()
    book.add(NOW, ("team", "arithmetic", "weak", "small"), USED, 0.5)
    store_days(store, book.take())
    clock[0] += 1
    with pytest.raises(BudgetSpent, match="task 'arithmetic' is used up"):
        await made.admit()


@pytest.mark.parametrize("text", [PRICED, BUDGET.replace('per = "day"', 'per = "day", then = "warn"')])
async def test_without_a_budget_that_refuses_it_goes_on(text: str) -> None:
    """The money is counted all the same."""
    store = MemoryStore()
    made = bill(store, text)
    for _ in range(3):
        made.pay("large", USED)
        await made.admit()
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
