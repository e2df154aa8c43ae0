"""Spending: counted in memory, added up in the store, lost by nobody."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from gateway.errors import StoreError
from gateway.spending.book import SPEND, SpendBook, Spent, added, day_of, days_between, store_days
from gateway.store.memory import MemoryStore

NOW = 1_798_761_600.0
PLACE = ("team", "sums", "weak", "small")
USED = Usage(prompt_tokens=7, output_tokens=3)


def book(count: int = 1, at: float = NOW) -> SpendBook:
    made = SpendBook()
    for _ in range(count):
        made.add(at, PLACE, USED, 0.25, 1.0)
    return made


def test_requests_of_a_place_are_added_up_by_day() -> None:
    """In UTC; without another price, the strong model's is the same."""
    made = book(2)
    made.add(NOW + 86_400, ("", "", "direct", "large"), USED, 0.5)
    days = made.take()
    assert {day: [row.usd for row in rows] for day, rows in days.items()} == {"2027-01-01": [0.5], "2027-01-02": [0.5]}
    row = days["2027-01-01"][0]
    assert (row.place, row.requests, row.prompt_tokens, row.output_tokens, row.strong_usd) == (PLACE, 2, 14, 6, 2.0)
    assert days["2027-01-02"][0].strong_usd == 0.5 and made.take() == {}


@given(st.lists(st.tuples(st.floats(0, 10**9), st.sampled_from("abc"), st.integers(0, 100)), max_size=20))
def test_what_is_put_back_is_taken_again(entries: list[tuple[float, str, int]]) -> None:
    """Nothing is counted twice, and nothing is missing."""
    made = SpendBook()
    for now, key, tokens in entries:
        made.add(now, (key, "", "direct", "m"), Usage(prompt_tokens=tokens), 0.5)
    days = made.take()
    made.put_back(days)
    assert made.take() == days


def test_two_processes_lose_nothing_of_each_other() -> None:
    """However they take turns."""
    store = MemoryStore()
    threads = [threading.Thread(target=store_days, args=[store, book().take()]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = SPEND.read(store, "2027-01-01") or ()
    assert (row.requests, row.usd) == (20, 5.0)


def test_spending_in_a_form_of_another_version_is_kept() -> None:
    """It is not written over."""
    store = MemoryStore()
    store.put_note(SPEND.key("2027-01-01"), b'{"of": "a later version"}')
    with pytest.raises(StoreError, match="2027-01-01"):
        store_days(store, book().take())
    assert store.note(SPEND.key("2027-01-01")) == b'{"of": "a later version"}'


def test_days_are_those_of_the_calendar() -> None:
    """From the first to the last."""
    assert day_of(NOW - 1) == "2026-12-31"
    assert list(days_between("2028-02-28", "2028-03-01")) == ["2028-02-28", "2028-02-29", "2028-03-01"]
    assert list(days_between("2028-03-01", "2028-02-28")) == []


def test_rows_of_a_place_are_one_row() -> None:
    """Others stay apart."""
    row = Spent(key="a", task="", arm="direct", model="m", requests=1, usd=0.5)
    other = Spent(key="b", task="", arm="direct", model="m", requests=1, usd=0.5)
    assert [(made.key, made.requests, made.usd) for made in added([row, other, row])] == [("a", 2, 1.0), ("b", 1, 0.5)]
