"""Tokens as money."""

import pytest

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


def test_tokens_of_the_upstreams_cache_have_prices_of_their_own() -> None:
    """Those read from it and those written to it; both are a part of the prompt."""
    usage = Usage(prompt_tokens=1000, cached_tokens=600, written_tokens=300, output_tokens=10)
    price = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
    assert cost_usd(price, usage) == pytest.approx((100 * 3.0 + 600 * 0.3 + 300 * 3.75 + 10 * 15.0) / 1e6)
    assert cost_usd(Price(input=3.0), usage) == pytest.approx(0.003)
