"""How much slower and dearer a rule set may be: what its verification measured, times what the task allows on top."""

from collections.abc import Callable

from gateway.domain import RuleSet
from gateway.forms import FORMS
from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import CostLimits

RuleSetLookup = Callable[[int], RuleSet | None]
"""A version of the task."""


def cost_limits_for(pairing: Pairing, live: int | None, known: RuleSetLookup, slowdown: float) -> CostLimits:
    """The limits of a comparison. What was verified as cheaper than its incumbent may still be ``slowdown`` times it.

    Nobody promised anything of rules without evidence: those that work in a scratchpad have no limit, others are taken
    to cost what no rules cost. Against the strong model ``slowdown`` itself is the limit.
    """
    if pairing.subject == "strong":
        return CostLimits(latency=slowdown, tokens=slowdown)
    base = {"trial": live, "holdback": None, "past": pairing.before}[pairing.subject]
    dearer, cheaper = relative_cost(pairing.version, known), relative_cost(base, known)
    latency, tokens = (
        slowdown * max(more / less, 1.0) if more is not None and less is not None else None
        for more, less in zip(dearer, cheaper, strict=True)
    )
    return CostLimits(latency=latency, tokens=tokens)


def relative_cost(version: int | None, known: RuleSetLookup) -> tuple[float | None, float | None]:
    """Latency and output tokens relative to no rules, by the evidence of the version and of those it was compared with.

    ``None`` where nobody measured it.
    """
    latency: float | None = 1.0
    tokens: float | None = 1.0
    while version is not None:
        rules = known(version)
        if rules is None:
            return None, None
        free = not FORMS[rules.scratchpad].works
        found = rules.evidence
        if found is None:
            return (latency, tokens) if free else (None, None)
        latency = _times(latency, found.before.latency_s, found.after.latency_s, free)
        tokens = _times(tokens, found.before.output_tokens, found.after.output_tokens, free)
        if found.against is not None and found.against >= version:
            return None, None
        version = found.against
    return latency, tokens


def _times(so_far: float | None, before: float, after: float, free: bool) -> float | None:
    if so_far is None:
        return None
    if before > 0 and after > 0:
        return so_far * after / before
    return so_far if free else None
