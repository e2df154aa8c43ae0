"""Periods of budgets: days and months of the calendar, in UTC, as numbers."""

import datetime as dt
from typing import Literal

Per = Literal["day", "month"]


def period_at(now: float, per: Per) -> int:
    """Return the number of the period at a time, in seconds since the epoch: 20270131, or 202701 for a month."""
    day = dt.datetime.fromtimestamp(now, dt.UTC)
    month = day.year * 100 + day.month
    return month if per == "month" else month * 100 + day.day


def end_of_period(now: float, per: Per) -> float:
    """Return the beginning of the next period, in seconds since the epoch."""
    day = dt.datetime.fromtimestamp(now, dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return (day + dt.timedelta(days=1)).timestamp()
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1).timestamp()


def first_day(now: float, per: Per) -> str:
    """Return the first day of the period, such as ``2027-01-01``."""
    day = dt.datetime.fromtimestamp(now, dt.UTC).date()
    return (day if per == "day" else day.replace(day=1)).isoformat()
