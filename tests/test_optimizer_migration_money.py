"""Tokens as money."""

import pytest

from gateway.domain import Usage
from gateway.settings.models import Model, Price
from optimizer.evaluation.budget import ModelUsage
from optimizer.migration.money import MONTH_S, cost_of, monthly, savings, usd

MILLION = Usage(prompt_tokens=1_000_000, output_tokens=1_000_000)


def test_a_model_without_a_price_is_free_beside_one_that_has_one() -> None:
    """It runs at home; where none has a price, nothing is known."""
    models = {
        "home": Model(upstream="u", model="m"),
        "cloud": Model(upstream="u", model="m", price=Price(input=1, output=1)),
    }
    used = {name: ModelUsage(answers=1, usage=MILLION) for name in models}
    assert cost_of(used, models) == 2.0
    assert cost_of({"home": used["home"]}, models) is None


def test_what_is_saved_earns_back_what_was_spent() -> None:
    """So many calls, so many days."""
    result = savings(5.0, 1.0, one_time=2.0, calls_per_month=3000)
    assert (result.per_thousand_usd, result.per_month_usd, result.break_even_calls) == (4.0, 12.0, 500)
    assert result.break_even_days == 5.0


def test_what_saves_nothing_is_never_earned_back() -> None:
    """A small model that thinks aloud may be the dearer one."""
    result = savings(1.0, 5.0, one_time=2.0, calls_per_month=None)
    assert (result.per_thousand_usd, result.per_month_usd, result.break_even_calls) == (-4.0, None, None)


def test_without_the_old_price_nothing_is_promised() -> None:
    """Zero would be a claim."""
    assert savings(None, 1.0, one_time=None, calls_per_month=9.0).per_thousand_usd is None


def test_a_log_of_a_day_tells_a_month() -> None:
    """One that is shorter does not."""
    assert monthly(300, 0.0, MONTH_S / 10) == 3000
    assert monthly(300, 0.0, 3600.0) is None
    assert monthly(0, None, None) is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (1234.5, "$1,234.50"), (0.5, "$0.50"), (0.0019, "$0.0019"), (0.094, "$0.094"), (-2, "-$2.00")],
)
def test_small_amounts_keep_two_figures(amount: float, text: str) -> None:
    """A tenth of a cent is not nothing, times a million."""
    assert usd(amount) == text
