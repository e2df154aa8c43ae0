"""A group in money."""

import pytest

from gateway.domain import Exchange, Usage
from gateway.settings import Settings
from optimizer.discovery.groups import Group, groups
from optimizer.discovery.worth import cheapest, worth
from tests.fakes import CONFIG, settings
from tests.unclaimed import DAY, chat, exchange

PRICED = settings(
    CONFIG.replace('"tiny-1b"', '"tiny-1b"\nprice = { input = 1, output = 2 }').replace(
        '"huge-1t"', '"huge-1t"\nprice = { input = 10, output = 100 }'
    )
)
UNPRICED = settings(CONFIG)


def group(model: str = "large", count: int = 31, step: float = DAY) -> Group:
    """Requests of 100 prompt and 10 output tokens, one a day."""
    exchanges: list[Exchange] = [
        exchange(number, chat("Help the caller."), model=model, created=1e9 + number * step) for number in range(count)
    ]
    (found,) = groups(exchanges)
    return found


def test_a_group_costs_what_its_models_cost() -> None:
    """100 prompt tokens at $10 and 10 output tokens at $100 a million, 31 times."""
    assert worth(group(), PRICED).usd == pytest.approx(31 * 0.002)


def test_what_passed_through_is_priced_by_the_upstreams_name() -> None:
    """Nobody has to rename a model to learn what it costs."""
    assert worth(group("huge-1t"), PRICED).usd == worth(group(), PRICED).usd


def test_a_month_at_the_same_volume_is_what_is_saved() -> None:
    """$2.00 less $0.12 per thousand, 31 requests in 30 days."""
    found = worth(group(), PRICED)
    assert found.weak == "small"
    assert found.savings.per_thousand_usd == pytest.approx(1.88)
    assert found.savings.per_month_usd == pytest.approx(1.88 * 31 / 1000)


def test_a_log_of_an_hour_says_nothing_of_a_month() -> None:
    """Per thousand calls it does."""
    found = worth(group(step=60.0), PRICED).savings
    assert found.per_month_usd is None and found.per_thousand_usd is not None


def test_without_a_price_nothing_is_claimed() -> None:
    """The models that lack one are named."""
    found = worth(group("gpt-4o"), PRICED)
    assert (found.usd, found.unpriced, found.savings.per_month_usd) == (None, ("gpt-4o",), None)


@pytest.mark.parametrize(
    ("configured", "model"),
    [
        (PRICED, "small"),
        (UNPRICED, None),
        (settings(CONFIG + '\n[upstreams.home]\nkind = "ollama"\n[models.own]\nupstream = "home"\nmodel = "q"'), "own"),
    ],
)
def test_the_cheapest_model_is_compared_with(configured: Settings, model: str | None) -> None:
    """One at home costs nothing; one elsewhere without a price may cost anything."""
    assert cheapest(configured, Usage(prompt_tokens=10, output_tokens=10)) == model
