"""Days and months of budgets."""

import datetime as dt

import pytest

from gateway.quotas.periods import Per, end_of_period, first_day, period_at


def at(*date: int) -> float:
    return dt.datetime(*date, tzinfo=dt.UTC).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("per", "now", "number", "end", "first"),
    [("day", (2026, 12, 31, 23, 59, 59), 20261231, (2027, 1, 1), "2026-12-31"),
     ("month", (2026, 12, 31, 23, 59, 59), 202612, (2027, 1, 1), "2026-12-01"),
     ("month", (2028, 2, 29), 202802, (2028, 3, 1), "2028-02-01"),
     ("day", (2028, 2, 28, 12), 20280228, (2028, 2, 29), "2028-02-28")],
)  # fmt: skip
def test_a_period_is_one_of_the_calendar_in_utc(
    per: Per, now: tuple[int, ...], number: int, end: tuple[int, ...], first: str
) -> None:
    """It has a number, an end and a first day."""
    assert (period_at(at(*now), per), end_of_period(at(*now), per), first_day(at(*now), per)) == (
        number, at(*end), first,
    )  # fmt: skip
