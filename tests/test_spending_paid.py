"""The book's money by writer: whole, whoever wrote it, and no writer's twice."""

from gateway.domain import Usage
from gateway.quotas.meter import NANO
from gateway.spending.book import LEARNING, SPEND, SpendBook, store_days
from gateway.spending.keeping import Totals
from gateway.spending.paid import PAID, shares_of, store_paid
from gateway.store.memory import MemoryStore

NOW = 1_798_900_000.0
"""The 2nd of January 2027."""
FIRST, TODAY = "2027-01-01", "2027-01-02"


def test_writers_of_a_day_keep_each_other_s_sums() -> None:
    """Storing the same sums again changes nothing."""
    store = MemoryStore()
    for _ in range(2):
        store_paid(store, "a", {20270102: {"key team": 0.5}})
        store_paid(store, "b", {20270102: {"key team": 0.25}, 20270101: {"task sums": 1.0}})
    store_paid(store, "a", {20270102: {"task sums": 0.125}})
    assert PAID.read(store, TODAY) == {"a": {"key team": 0.5, "task sums": 0.125}, "b": {"key team": 0.25}}
    assert PAID.read(store, FIRST) == {"b": {"task sums": 1.0}}


def test_shares_are_the_whole_book() -> None:
    """Learning and gateways without the counters have a share of their own."""
    store, book = MemoryStore(), SpendBook()
    book.add(NOW, ("team", "sums", "weak", "small"), Usage(), 0.5)
    book.add(NOW - 86_400, ("team", "sums", "weak", "small"), Usage(), 0.25)
    book.add(NOW, ("", "sums", LEARNING, "large"), Usage(), 2.0, 0.0)
    store_days(store, book.take())
    store_paid(store, "a", {20270102: {"key team": 0.3, "task sums": 0.3}})
    store_paid(store, "b", {20270102: {"key team": 0.2, "task sums": 0.2}})
    days = Totals(SPEND, ()).read(store, FIRST, TODAY)
    paid = Totals(PAID, {}).read(store, FIRST, TODAY)

    def shares(first: str, kind: str, name: str) -> dict[str, float]:
        made = shares_of(days, paid, first, kind, name)  # type: ignore[arg-type]
        return {writer: nano / NANO for writer, nano in made.items()}

    assert shares(FIRST, "key", "team") == {"a": 0.3, "b": 0.2, "others": 0.25}
    assert shares(TODAY, "key", "team") == {"a": 0.3, "b": 0.2}
    assert shares(TODAY, "task", "sums") == {"a": 0.3, "b": 0.2, "learning": 2.0}
    assert shares(FIRST, "key", "nobody") == {}
