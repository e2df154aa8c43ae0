"""Estimate the cost of a group of requests, and the savings of a month on a smaller model at the same tokens.

A smaller model may need more tokens, and rules cost some: ``preceptor migrate`` measures the savings.
"""

import math

from gateway.domain import Usage, Value
from gateway.prices import cost_usd
from gateway.settings import Model, Settings
from gateway.settings.models import Price
from optimizer.discovery.groups import Group
from optimizer.migration.money import Savings, monthly, savings


class SavingsEstimate(Value, frozen=True):
    """A group in money."""

    usd: float | None
    """Cost of its requests at the configured prices; ``None`` if one of its models has no price."""
    unpriced: tuple[str, ...]
    """The models without a price."""
    weak: str | None
    """The cheaper model; ``None`` if no configured model can be compared or would cost less."""
    savings: Savings


def estimate_savings(group: Group, settings: Settings, weak: str | None = None) -> SavingsEstimate:
    """Estimate a group's cost, and its savings on the model ``weak``: by default the cheapest, if it costs less."""
    used: dict[str, Usage] = {}
    for exchange, _ in group.members:
        used[exchange.model] = used.get(exchange.model, Usage()) + exchange.usage
    costs = {name: _cost(name, usage, settings) for name, usage in used.items()}
    known = [amount for amount in costs.values() if amount is not None]
    usd = sum(known) if len(known) == len(costs) else None
    weak = weak or _cheaper(group, settings, usd)
    n = len(group.members)
    old = None if usd is None or weak is None else 1000 * usd / n
    new = None if weak is None else cost_usd(settings.models[weak].price, group.usage)
    return SavingsEstimate(
        usd=usd,
        unpriced=tuple(sorted(name for name, amount in costs.items() if amount is None)),
        weak=weak,
        savings=savings(
            old,
            None if new is None else 1000 * new / n,
            one_time=None,
            calls_per_month=monthly(n, group.first_seen, group.last_seen),
        ),
    )


def _cheaper(group: Group, settings: Settings, usd: float | None) -> str | None:
    """Return the cheapest model, unless the group costs no more today (because that model answers it already)."""
    weak = cheapest(settings, group.usage)
    answering = {exchange.model for exchange, _ in group.members}
    if weak is None or all(_costs_nothing(name, settings) for name in answering):
        return None
    new = cost_usd(settings.models[weak].price, group.usage) or 0.0
    return weak if usd is None or (new < usd and not math.isclose(new, usd)) else None


def cheapest(settings: Settings, usage: Usage) -> str | None:
    """Return the configured model with the lowest cost for these tokens; a remote model without a price is skipped."""
    costs = {
        name: cost_usd(model.price, usage) or 0.0
        for name, model in settings.models.items()
        if model.price != Price() or _at_home(model, settings)
    }
    return min(costs, key=lambda name: costs[name], default=None)


def _cost(name: str, usage: Usage, settings: Settings) -> float | None:
    model = _model(name, settings)
    return None if model is None else cost_usd(model.price, usage)


def _costs_nothing(name: str, settings: Settings) -> bool:
    model = _model(name, settings)
    return model is not None and model.price == Price() and _at_home(model, settings)


def _model(name: str, settings: Settings) -> Model | None:
    """Return the model of a configured name, or of the upstream's own name (as in a passed-through call)."""
    same = [model for model in settings.models.values() if model.model == name]
    return settings.models.get(name) or min(same, key=lambda model: model.price == Price(), default=None)


def _at_home(model: Model, settings: Settings) -> bool:
    return settings.upstreams[model.upstream].at_home
