"""Turn tokens into money: per call, per month, and the time until a one-time cost is earned back. Reads no clock."""

import math
from collections.abc import Mapping

from gateway.domain import Value
from gateway.prices import cost_usd
from gateway.settings import Model
from optimizer.evaluation.budget import ModelUsage

MONTH_S = 30 * 86400.0
"""Seconds in a month of 30 days."""
SHORTEST_LOG_S = 86400.0
"""Seconds that a log must span before it is extrapolated to a month."""


class Savings(Value, frozen=True):
    """The savings of moving a task, in USD; ``None`` if a price or the number of calls is not known."""

    one_time_usd: float | None = None
    """Cost of the run: all calls of all models, with earlier runs that were cut short."""
    per_thousand_usd: float | None = None
    """Saved per thousand calls; negative if the weak model costs more."""
    per_month_usd: float | None = None
    break_even_calls: int | None = None
    """Calls until the one-time cost is earned back; ``None`` for never."""
    break_even_days: float | None = None
    calls_per_month: float | None = None


def cost_of(used: Mapping[str, ModelUsage], models: Mapping[str, Model]) -> float | None:
    """Return the USD for the calls of a run. A model without a price counts as free; ``None`` if all are without."""
    costs = [cost_usd(models[name].price, share.usage) for name, share in used.items()]
    known = [amount for amount in costs if amount is not None]
    return sum(known) if known else None


def savings(
    old_per_thousand: float | None,
    new_per_thousand: float | None,
    *,
    one_time: float | None,
    calls_per_month: float | None,
) -> Savings:
    """Return the savings of the new price against the old one, both in USD per thousand calls."""
    if old_per_thousand is None:
        return Savings(one_time_usd=one_time, calls_per_month=calls_per_month)
    saved = old_per_thousand - (new_per_thousand or 0.0)  # no price beside a priced model: it runs at home
    calls = None if one_time is None or saved <= 0 else math.ceil(1000 * one_time / saved)
    return Savings(
        one_time_usd=one_time,
        per_thousand_usd=saved,
        per_month_usd=saved * calls_per_month / 1000 if calls_per_month is not None else None,
        break_even_calls=calls,
        break_even_days=30 * calls / calls_per_month if calls is not None and calls_per_month else None,
        calls_per_month=calls_per_month,
    )


def monthly(exchanges: int, first_seen: float | None, last_seen: float | None) -> float | None:
    """Extrapolate the exchanges of a log to calls per month; ``None`` if the log spans less than a day."""
    if first_seen is None or last_seen is None or last_seen - first_seen < SHORTEST_LOG_S:
        return None
    return exchanges * MONTH_S / (last_seen - first_seen)


def usd(amount: float) -> str:
    """Format an amount for people: cents from a dollar up, two figures below."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size >= 1 or size == 0:
        return f"{sign}${size:,.2f}"
    decimals = max(2, 1 - _exponent(size))
    return f"{sign}${size:.{decimals}f}"


def _exponent(size: float) -> int:
    return int(f"{size:e}".partition("e")[2])
