"""LiteLLM's limits and budgets in this gateway's form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.litellm.quotas import budget_of, key_section, limits_of
from gateway.settings.quotas import NO_LIMITS, Budget, Limits

ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


def test_limits_keep_their_meaning() -> None:
    """Requests and tokens a minute, requests at once; also as text."""
    made = limits_of({"rpm": 60, "tpm": "9000", "max_parallel_requests": 4.0})
    assert made == (Limits(requests_per_minute=60, tokens_per_minute=9000, concurrent=4), [])


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", 10**30, [1], float("nan")])
def test_an_unusable_limit_is_named(value: object) -> None:
    """Not taken for another."""
    assert limits_of({"rpm": value, "tpm": None}) == (NO_LIMITS, ["rpm"])


@pytest.mark.parametrize(
    ("duration", "budget"),
    [("1d", Budget(usd=5.0, per="day")), ("30d", Budget(usd=5.0, per="month")), ("7d", None), (None, None)],
)  # fmt: skip
def test_a_budget_is_for_a_day_or_a_month(duration: object, budget: Budget | None) -> None:
    """Another period has no counterpart."""
    assert budget_of(5, duration) == budget


@given(ODD, ODD)
def test_no_value_is_too_odd(usd: object, duration: object) -> None:
    """It is usable or it is not."""
    budget_of(usd, duration)
    limits_of({"rpm": usd, "tpm": duration})


def test_everybody_s_limits_are_those_of_the_only_key() -> None:
    """What is unusable is named."""
    key, left_out = key_section(40, "5", "1d")
    assert (key.limits, key.budget, left_out) == (Limits(concurrent=40), Budget(usd=5.0, per="day"), [])
    key, left_out = key_section("many", 5, "7d")
    assert (key.limits, key.budget) == (NO_LIMITS, None)
    assert left_out == ["general_settings.global_max_parallel_requests", "litellm_settings.max_budget"]
