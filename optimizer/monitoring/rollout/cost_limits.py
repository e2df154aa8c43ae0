"""Limits on the latency and tokens of a rule set: its verification's measurement, times the task's allowance."""

from collections.abc import Callable

from gateway.domain import RuleSet
from gateway.forms import composed
from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import CostLimits

RuleSetLookup = Callable[[int], RuleSet | None]
"""Returns a version of the task."""


def cost_limits_for(pairing: Pairing, live: int | None, known: RuleSetLookup, slowdown: float) -> CostLimits:
    """Return the limits of a comparison. A version verified as cheaper may still take ``slowdown`` times its incumbent.

    Rules without evidence have no limit if they work in a scratchpad; otherwise no extra cost is expected of them.
    Against the strong model ``slowdown`` itself is the limit.
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
    """Return latency and output tokens relative to no rules, by the evidence of a version and of its ancestors.

    ``None`` without a measurement.
    """
    latency: float | None = 1.0
    tokens: float | None = 1.0
    while version is not None:
        rules = known(version)
        if rules is None:
            return None, None
        free = not composed(rules).works
        evidence = rules.evidence
        if evidence is None:
            return (latency, tokens) if free else (None, None)
        latency = _times(latency, evidence.before.latency_s, evidence.after.latency_s, free)
        tokens = _times(tokens, evidence.before.output_tokens, evidence.after.output_tokens, free)
        if evidence.against is not None and evidence.against >= version:
            return None, None
        version = evidence.against
    return latency, tokens


def _times(so_far: float | None, before: float, after: float, free: bool) -> float | None:
    if so_far is None:
        return None
    if before > 0 and after > 0:
        return so_far * after / before
    return so_far if free else None
