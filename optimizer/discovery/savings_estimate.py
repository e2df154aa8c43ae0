"""What a group of requests has cost, and what a month of it would save on a smaller model at the same tokens.

A smaller model may need more tokens, and rules cost some: ``preceptor migrate`` measures what this only estimates.
"""

import math

from gateway.domain import Usage, Value
from gateway.settings import Model, Settings
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
    """The model that is compared with; ``None`` if none can be, or none would cost less."""
    savings: Savings


def worth(group: Group, settings: Settings, weak: str | None = None) -> Worth:
    """What a group has cost and would save on the model ``weak``, by default the cheapest if it costs less than now."""
    used: dict[str, Usage] = {}
    for exchange, _ in group.members:
        used[exchange.model] = used.get(exchange.model, Usage()) + exchange.usage
    costs = {name: _cost(name, usage, settings) for name, usage in used.items()}
    known = [one for one in costs.values() if one is not None]
    usd = sum(known) if len(known) == len(costs) else None
    weak = weak or _cheaper(group, settings, usd)
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


def _cheaper(group: Group, settings: Settings, usd: float | None) -> str | None:
    """The cheapest model, unless the group costs no more as it is answered now (by that model itself, for example)."""
    weak = cheapest(settings, group.usage)
    if weak is None or all(_costs_nothing(name, settings) for name in {one.model for one, _ in group.members}):
        return None
    new = cost(settings.models[weak].price, group.usage) or 0.0
    return weak if usd is None or (new < usd and not math.isclose(new, usd)) else None


def cheapest(settings: Settings, usage: Usage) -> str | None:
    """The configured model on which these tokens cost least; one elsewhere without a price is not compared."""
    costs = {
        name: cost(model.price, usage) or 0.0
        for name, model in settings.models.items()
        if model.price != Price() or _at_home(model, settings)
    }
    return min(costs, key=lambda name: costs[name], default=None)


def _cost(name: str, usage: Usage, settings: Settings) -> float | None:
    model = _model(name, settings)
    return None if model is None else cost(model.price, usage)


def _costs_nothing(name: str, settings: Settings) -> bool:
    model = _model(name, settings)
    return model is not None and model.price == Price() and _at_home(model, settings)


def _model(name: str, settings: Settings) -> Model | None:
    """The model that answered; a request that passed through has the upstream's own name for it."""
    same = [model for model in settings.models.values() if model.model == name]
    return settings.models.get(name) or min(same, key=lambda model: model.price == Price(), default=None)


def _at_home(model: Model, settings: Settings) -> bool:
    return settings.upstreams[model.upstream].kind in _AT_HOME
