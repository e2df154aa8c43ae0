"""A request's claim under its limits: estimated before the call, settled by what it took."""

from gateway.auth import Holder
from gateway.completion import CompletionTrace
from gateway.domain import NO_USAGE, Usage
from gateway.formats.expected_tokens import expected_tokens
from gateway.prices import cost_usd
from gateway.quotas.quotas import Claim
from gateway.routing.route import RoutePlan
from gateway.services import Services
from gateway.settings import Settings

_LETTERS_PER_TOKEN = 4


async def claim_for(services: Services, holder: Holder | None, plan: RoutePlan, free: bool = False) -> Claim | None:
    """Reserve what a request needs under the limits of its key and its task; ``None`` without any.

    A ``free`` request takes no tokens and no money.
    Waits for nothing but counters shared with other gateways. Raises ``RateLimited``.
    """
    claim = _claimed(services, holder, plan, free)
    if claim is not None and services.replicas is not None:
        await claim.confirm(services.replicas)
    return claim


def _claimed(services: Services, holder: Holder | None, plan: RoutePlan, free: bool) -> Claim | None:
    quotas, alone = services.quotas, services.replicas is None
    if not quotas:
        return None
    meters = quotas.of(None if holder is None else holder.name, plan.task)
    if not meters:
        return None
    for meter in meters:
        if meter.weighs and not free:
            break
    else:
        return quotas.claim(meters, refuse_money=alone)
    prompt, output = expected_tokens(plan.envelope)
    model = services.settings.models.get(plan.model)
    usage = Usage(prompt_tokens=prompt, output_tokens=output)
    cost = None if model is None else cost_usd(model.price, usage)
    return quotas.claim(meters, prompt + output, cost, refuse_money=alone)


async def claim_of_path(services: Services, holder: Holder | None) -> Claim | None:
    """Reserve a request that passes through, without tokens: nothing of it is read. Raises ``RateLimited``."""
    meters = services.quotas.of(holder.name, None) if holder is not None and services.quotas else ()
    if not meters:
        return None
    claim = services.quotas.claim(meters, refuse_money=services.replicas is None)
    if services.replicas is not None:
        await claim.confirm(services.replicas)
    return claim


def taken(trace: CompletionTrace, plan: RoutePlan) -> Usage:
    """Return the tokens of an exchange; an estimate for a reply that began and broke off before it was counted."""
    if trace.usage is not NO_USAGE or trace.reply is None:
        return trace.usage
    prompt, _ = expected_tokens(plan.envelope)
    return Usage(prompt_tokens=prompt, output_tokens=len(trace.text or "") // _LETTERS_PER_TOKEN)


def strong_cost(plan: RoutePlan, settings: Settings, usage: Usage) -> float | None:
    """Return the price of a weak model's tokens with the task's strong model; ``None`` without a price or a task."""
    section = settings.tasks.get(plan.task) if plan.task is not None else None
    if section is None or plan.model == section.strong:
        return None
    return cost_usd(settings.models[section.strong].price, usage)
