"""Tokens as money: what a call costs, what a month costs, and when a one-time cost is earned back. Reads no clock."""

import math
from collections.abc import Mapping

from gateway.domain import Usage, Value
from gateway.settings import Model
from gateway.settings.sections import Price
from optimizer.evaluation.budget import ModelUsage

MONTH_S = 30 * 86400.0
"""Seconds in a month, as meant everywhere here."""
SHORTEST_LOG_S = 86400.0
"""A log that spans less than a day says nothing of a month."""


class Savings(Value, frozen=True):
    """What moving a task saves, in USD; ``None`` where a price or the number of calls is not known."""

    one_time_usd: float | None = None
    """What learning took of both models, in this run and in earlier ones that were cut short."""
    per_thousand_usd: float | None = None
    """Saved per thousand calls; negative where the cheaper model turns out dearer."""
    per_month_usd: float | None = None
    break_even_calls: int | None = None
    """Calls after which the one-time cost is earned back; ``None`` if never."""
    break_even_days: float | None = None
    calls_per_month: float | None = None


def cost(price: Price, usage: Usage) -> float | None:
    """USD for these tokens; ``None`` if the model has no price."""
    if not price.input and not price.output:
        return None
    return (usage.prompt_tokens * price.input + usage.output_tokens * price.output) / 1e6


def cost_of(used: Mapping[str, ModelUsage], models: Mapping[str, Model]) -> float | None:
    """USD for everything that a run needed; models without a price count as free, ``None`` if none has one."""
    costs = [cost(models[name].price, one.usage) for name, one in used.items()]
    known = [one for one in costs if one is not None]
    return sum(known) if known else None


def savings(
    old_per_thousand: float | None,
    new_per_thousand: float | None,
    *,
    one_time: float | None,
    calls_per_month: float | None,
) -> Savings:
    """What is saved by paying the new price instead of the old one, both in USD per thousand calls."""
    if old_per_thousand is None:
        return Savings(one_time_usd=one_time, calls_per_month=calls_per_month)
    saved = old_per_thousand - (new_per_thousand or 0.0)  # a model without a price beside one with: it runs at home
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
    """Calls per month as a log of so many exchanges has them; ``None`` if it spans less than a day."""
    if first_seen is None or last_seen is None or last_seen - first_seen < SHORTEST_LOG_S:
        return None
    return exchanges * MONTH_S / (last_seen - first_seen)


def usd(amount: float) -> str:
    """An amount for people: cents from a dollar up, two figures below."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size >= 1 or size == 0:
        return f"{sign}${size:,.2f}"
    decimals = max(2, 1 - _exponent(size))
    return f"{sign}${size:.{decimals}f}"


def _exponent(size: float) -> int:
    return int(f"{size:e}".partition("e")[2])
