"""Tokens as money, by the prices of the configuration."""

from gateway.domain import Usage
from gateway.settings.sections import Price


def cost_usd(price: Price, usage: Usage) -> float | None:
    """Return the cost of these tokens in USD; ``None`` for a model without a price."""
    if not price.input and not price.output:
        return None
    return (usage.prompt_tokens * price.input + usage.output_tokens * price.output) / 1e6
