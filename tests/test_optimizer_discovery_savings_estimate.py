"""A group in money."""

import pytest

from gateway.domain import Exchange, Usage
from gateway.settings import Settings
from optimizer.discovery.groups import Group, groups
from optimizer.discovery.savings_estimate import cheapest, estimate_savings
from tests.fakes import CONFIG, settings
from tests.unclaimed import DAY, chat, exchange

PRICED = settings(
    CONFIG.replace('"tiny-1b"', '"tiny-1b"\nprice = { input = 1, output = 2 }').replace(
        '"huge-1t"', '"huge-1t"\nprice = { input = 10, output = 100 }'
    )
)
UNPRICED = settings(CONFIG)
AT_HOME = settings(
    CONFIG + '\n[upstreams.home]\nkind = "ollama"\n'
    '[models.own]\nupstream = "home"\nmodel = "q"\n[models.other]\nupstream = "home"\nmodel = "p"'
)


def group(model: str = "large", count: int = 31, step: float = DAY) -> Group:
    """Requests of 100 prompt and 10 output tokens, one a day."""
    exchanges: list[Exchange] = [
        exchange(number, chat("Help the caller."), model=model, created=1e9 + number * step) for number in range(count)
    ]
    (result,) = groups(exchanges)
    return result


def test_a_group_costs_what_its_models_cost() -> None:
    """100 prompt tokens at $10 and 10 output tokens at $100 a million, 31 times."""
    assert estimate_savings(group(), PRICED).usd == pytest.approx(31 * 0.002)


def test_what_passed_through_is_priced_by_the_upstreams_name() -> None:
    """Nobody has to rename a model to learn what it costs."""
    assert estimate_savings(group("huge-1t"), PRICED).usd == estimate_savings(group(), PRICED).usd


def test_a_month_at_the_same_volume_is_what_is_saved() -> None:
    """$2.00 less $0.12 per thousand, 31 requests in 30 days."""
    result = estimate_savings(group(), PRICED)
    assert result.weak == "small"
    assert result.savings.per_thousand_usd == pytest.approx(1.88)
    assert result.savings.per_month_usd == pytest.approx(1.88 * 31 / 1000)


def test_a_log_of_an_hour_says_nothing_of_a_month() -> None:
    """Per thousand calls it does."""
    result = estimate_savings(group(step=60.0), PRICED).savings
    assert result.per_month_usd is None and result.per_thousand_usd is not None


@pytest.mark.parametrize(
    ("configured", "model"),
    [(PRICED, "small"), (PRICED, "tiny-1b"), (AT_HOME, "own"), (AT_HOME, "q"), (AT_HOME, "other")],
)
def test_what_the_cheapest_answers_already_can_save_nothing(configured: Settings, model: str) -> None:
    """By whichever name: neither that model is recommended, nor another that costs as much."""
    result = estimate_savings(group(model), configured)
    assert (result.weak, result.savings.per_thousand_usd, result.savings.per_month_usd) == (None, None, None)


def test_what_the_cheapest_answers_in_part_saves_on_the_rest() -> None:
    """15 of 30 requests cost $0.12 a thousand already, the others $2.00."""
    exchanges = [exchange(number, chat("Help."), model=("small", "large")[number % 2]) for number in range(30)]
    result = estimate_savings(groups(exchanges)[0], PRICED)
    assert result.weak == "small" and result.savings.per_thousand_usd == pytest.approx(0.94)


def test_a_model_that_somebody_names_is_compared_whatever_it_costs() -> None:
    """Also where it saves nothing, or costs more."""
    assert estimate_savings(group("small"), PRICED, "small").savings.per_thousand_usd == pytest.approx(0.0)
    assert estimate_savings(group("small"), PRICED, "large").savings.per_thousand_usd == pytest.approx(-1.88)


def test_without_a_price_nothing_is_claimed() -> None:
    """The models that lack one are named."""
    result = estimate_savings(group("gpt-4o"), PRICED)
    assert (result.usd, result.unpriced, result.savings.per_month_usd) == (None, ("gpt-4o",), None)


@pytest.mark.parametrize(
    ("configured", "model"),
    [
        (PRICED, "small"),
        (UNPRICED, None),
        (AT_HOME, "own"),
    ],
)
def test_the_cheapest_model_is_compared_with(configured: Settings, model: str | None) -> None:
    """One at home costs nothing; one elsewhere without a price may cost anything."""
    assert cheapest(configured, Usage(prompt_tokens=10, output_tokens=10)) == model
