"""LiteLLM's limits and budgets in this gateway's form. Pure."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from gateway.settings import Key
from gateway.settings.quotas import Budget, Limits

_MOST: Final = 10**9
_FIELDS: Final = {
    "rpm": "requests_per_minute", "tpm": "tokens_per_minute", "max_parallel_requests": "concurrent",
}  # fmt: skip
LIMITS: Final = tuple(_FIELDS)
"""Parameters of an entry with limits of its deployment."""
_PERIODS: Final[Mapping[str, Literal["day", "month"]]] = {
    "1d": "day", "24h": "day", "30d": "month", "1mo": "month", "31d": "month",
}  # fmt: skip


def limits_of(given: Mapping[str, Any]) -> tuple[Limits, list[str]]:
    """Return the limits among parameters, and the names of unusable ones."""
    usable = {name: _whole(given[name]) for name in LIMITS if given.get(name) not in (None, "")}
    limits = {_FIELDS[name]: value for name, value in usable.items() if value is not None}
    return Limits(**limits), [name for name, value in usable.items() if value is None]


def budget_of(usd: object, duration: object) -> Budget | None:
    """Return a budget by ``max_budget`` and ``budget_duration``; ``None`` for another form, such as ``7d``."""
    per = _PERIODS.get(duration) if isinstance(duration, str) else None
    number = _number(usd)
    if per is None or number is None:
        return None
    return Budget(usd=number, per=per)


def key_section(most: object, usd: object, duration: object) -> tuple[Key, list[str]]:
    """Return the limits and the budget of everybody as those of a key, and the settings that are unusable."""
    limits, unusable = limits_of({"max_parallel_requests": most})
    budget = None if usd is None else budget_of(usd, duration)
    left_out = ["general_settings.global_max_parallel_requests"] if unusable else []
    if usd is not None and budget is None:
        left_out.append("litellm_settings.max_budget")
    return Key(limits=limits, budget=budget), left_out


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST:
        return None
    return float(value)
