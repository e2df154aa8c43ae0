"""The spending for people."""

import pytest

from gateway.domain import Usage
from gateway.spending.book import LEARNING, SpendBook, store_days
from gateway.spending.report import By, lines, read_days, total
from gateway.store.memory import MemoryStore

NOW = 1_798_761_600.0


def stocked() -> MemoryStore:
    """The weak model costs 1, the strong one would have cost 10 each; learning cost 4."""
    store, book = MemoryStore(), SpendBook()
    used = Usage(prompt_tokens=6, output_tokens=4)
    for key in ("a", "a", "b"):
        book.add(NOW, (key, "sums", "weak", "small"), used, 1.0, 10.0)
    book.add(NOW, ("b", "", "direct", "large"), used, 10.0)
    book.add(NOW + 86_400, ("", "sums", LEARNING, "large"), used, 4.0, 0.0)
    store_days(store, book.take())
    return store


@pytest.mark.parametrize(
    ("by", "wanted"),
    [("key", [("b", 2, 11.0, 9.0), ("", 1, 4.0, -4.0), ("a", 2, 2.0, 18.0)]),
     ("owner", [("ops", 2, 11.0, 9.0), ("", 3, 6.0, 14.0)]),
     ("task", [("", 1, 10.0, 0.0), ("sums", 4, 7.0, 23.0)]),
     ("arm", [("direct", 1, 10.0, 0.0), ("learning", 1, 4.0, -4.0), ("weak", 3, 3.0, 27.0)]),
     ("model", [("large", 2, 14.0, -4.0), ("small", 3, 3.0, 27.0)])],
)  # fmt: skip
def test_a_line_says_what_was_spent_and_saved(by: By, wanted: list[tuple[str, int, float, float]]) -> None:
    """Saved is what the strong model would have cost less all costs, learning included."""
    days = read_days(stocked(), "2027-01-01", "2027-01-02")
    made = lines(days, by, {"b": "ops"})
    assert [(line.name, line.requests, line.usd, line.saved_usd) for line in made] == wanted
    whole = total(made)
    assert (whole.requests, whole.usd, whole.saved_usd, whole.prompt_tokens) == (5, 17.0, 23.0, 30)


def test_a_key_or_a_task_may_be_chosen_and_days_are_left_out() -> None:
    """All rows that fit."""
    days = read_days(stocked(), "2027-01-01", "2027-01-01")
    assert [line.name for line in lines(days, "model", {}, key="b")] == ["large", "small"]
    assert [line.usd for line in lines(days, "task", {}, task="sums")] == [3.0]
    assert lines(days, "key", {}, key="nobody") == []
