"""Payments that only grow: by day and month, and told again as often as needed."""

import pytest

from gateway.quotas.meter import NANO
from gateway.quotas.payments import KnownBook, Payments

NOW = 1_798_900_000.0
"""The 2nd of January 2027."""
DAY_S = 86_400


def test_payments_add_up_by_day_and_month() -> None:
    """Each subject by itself."""
    payments = Payments("w")
    for days, usd in ((-2, 1.0), (-1, 0.5), (0, 0.25), (0, 0.25)):
        payments.add("key team", NOW + days * DAY_S, usd)
    payments.add("task sums", NOW, 9.0)
    sums = [payments.nano("key team", period) for period in (20261231, 202612, 20270101, 20270102, 202701, 202702)]
    assert sums == [NANO, NANO, NANO // 2, NANO // 2, NANO, 0]
    assert payments.nano("key nobody", 202701) == 0


def test_only_what_has_grown_is_stored_again() -> None:
    """With its whole sum; again after a store that failed."""
    payments = Payments("w")
    payments.add("key team", NOW, 0.5)
    taken = payments.take()
    assert taken == {20270102: {"key team": 0.5}} and payments.take() == {}
    payments.put_back(taken)
    payments.add("key team", NOW, 0.5)
    assert payments.take() == {20270102: {"key team": 1.0}}


def test_old_days_are_forgotten() -> None:
    """Two months are kept: a month that has not ended is whole."""
    payments = Payments("w")
    for day in range(100):
        payments.add("key team", NOW + day * DAY_S, 1.0)
    assert payments.nano("key team", 202701) == 0
    assert payments.nano("key team", 202703) == 31 * NANO


@pytest.mark.parametrize(("read", "later", "other"), [(20270102, 20270103, 202702), (202701, 202702, 20270102)])
def test_a_period_that_began_after_the_reading_has_an_empty_book(read: int, later: int, other: int) -> None:
    """Of one that was never read nothing is known."""
    book = KnownBook()
    assert book.of("key team", read) is None
    book.take("key team", read, {"w": 5})
    assert book.of("key team", read) == {"w": 5}
    assert book.of("key team", later) == {}
    assert book.of("key team", read - 1) is None and book.of("key team", other) is None
