"""What a group of requests has cost, and what a month of it would save on a smaller model at the same tokens.

A smaller model may need more tokens, and rules cost some: ``preceptor migrate`` measures what this only estimates.
"""

from gateway.domain import Usage, Value
from gateway.settings import Settings
from gateway.settings.sections import Price
from optimizer.discovery.groups import Group
from optimizer.migration.money import Savings, cost, monthly, savings

_AT_HOME = ("llamacpp", "ollama")
"""Kinds of upstream whose models cost nothing unless they have a price."""


class Worth(Value, frozen=True):
    """A group in money."""

    usd: float | None
    """What its requests have cost at the configured prices; ``None`` if one of its models has no price."""
    unpriced: tuple[str, ...]
    """Those models."""
    weak: str | None
    """The model that is compared with; ``None`` if none can be."""
    savings: Savings


def worth(group: Group, settings: Settings, weak: str | None = None) -> Worth:
    """What a group has cost and would save on the model ``weak``, by default the cheapest that is configured."""
    used: dict[str, Usage] = {}
    for exchange, _ in group.members:
        used[exchange.model] = used.get(exchange.model, Usage()) + exchange.usage
    costs = {name: _cost(name, usage, settings) for name, usage in used.items()}
    known = [one for one in costs.values() if one is not None]
    usd = sum(known) if len(known) == len(costs) else None
    weak = weak or cheapest(settings, group.usage)
    n = len(group.members)
    old = None if usd is None or weak is None else 1000 * usd / n
    new = None if weak is None else cost(settings.models[weak].price, group.usage)
    return Worth(
        usd=usd,
        unpriced=tuple(sorted(name for name, one in costs.items() if one is None)),
        weak=weak,
        savings=savings(
            old,
            None if new is None else 1000 * new / n,
            one_time=None,
            calls_per_month=monthly(n, group.first_seen, group.last_seen),
        ),
    )


def cheapest(settings: Settings, usage: Usage) -> str | None:
    """The configured model on which these tokens cost least; one elsewhere without a price is not compared."""
    costs = {
        name: cost(model.price, usage) or 0.0
        for name, model in settings.models.items()
        if model.price != Price() or settings.upstreams[model.upstream].kind in _AT_HOME
    }
    return min(costs, key=lambda name: costs[name], default=None)


def _cost(name: str, usage: Usage, settings: Settings) -> float | None:
    """What a model has cost; a request that passed through has the upstream's own name for it."""
    same = (model for model in settings.models.values() if model.model == name and model.price != Price())
    model = settings.models.get(name) or next(same, None)
    return None if model is None else cost(model.price, usage)
