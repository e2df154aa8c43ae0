"""Tokens as money, by the prices of the configuration."""

from gateway.domain import Usage
from gateway.settings.models import Price


def cost_usd(price: Price, usage: Usage) -> float | None:
    """Return the cost of these tokens in USD; ``None`` for a model without a price."""
    if not price.input and not price.output:
        return None
    cost = usage.prompt_tokens * price.input + usage.output_tokens * price.output
    if price.cache_read is not None:
        cost += usage.cached_tokens * (price.cache_read - price.input)
    if price.cache_write is not None:
        cost += usage.written_tokens * (price.cache_write - price.input)
    return cost / 1e6
