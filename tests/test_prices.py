"""Tokens as money."""

from gateway.domain import Usage
from gateway.prices import cost_usd
from gateway.settings import Price


def test_a_cost_is_the_price_of_both_kinds_of_token() -> None:
    """In USD, where the price is per million."""
    assert cost_usd(Price(input=2.0, output=10.0), Usage(prompt_tokens=500_000, output_tokens=100_000)) == 2.0


def test_without_a_price_no_cost_is_known() -> None:
    """A model without a price is not free: nobody knows."""
    assert cost_usd(Price(), Usage(prompt_tokens=5)) is None
    assert cost_usd(Price(input=1.0), Usage()) == 0.0
