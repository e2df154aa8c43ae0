"""The unproven of earlier cycles: rules ahead on their items, and a candidate without a verdict.

They are read out of the outcomes of earlier cycles, so they go where those go: ``forget`` and retention take the books
out of an outcome. A rule is promising against the incumbent of its time only, and until something is adopted. Proves
nothing: in the next cycle such a rule is shown to the strong model and tried again like any other.
"""

from collections.abc import Iterator, Sequence

import msgspec

from gateway.domain import CycleRecord, Rule, RuleRecord, RuleSet
from optimizer.distillation.carried_test import WAITS_S, CarriedTest
from optimizer.distillation.outcome import Outcome

MOST = 8
"""Promising rules of a task."""
CYCLES = 20
"""Newest cycles to read."""


def promising_rules(cycles: Sequence[CycleRecord], incumbent: RuleSet | None) -> tuple[Rule, ...]:
    """Return the promising rules of a task out of its cycles, newest first; the largest measured effect first."""
    live = {rule.id for rule in incumbent.rules} if incumbent is not None else set()
    version = (incumbent.version or None) if incumbent is not None else None
    newest: dict[str, RuleRecord] = {}
    judged: set[str] = set()
    for outcome in _since_adoption(cycles[:CYCLES]):
        if outcome.against != version:
            continue
        for entry in outcome.records:
            if entry.id in judged or entry.id in live or entry.status not in ("kept", "tried", "dropped"):
                continue
            judged.add(entry.id)  # what a newer cycle says of a rule counts
            if _is_ahead(entry, outcome):
                newest[entry.id] = entry
    ranked = sorted(newest.values(), key=lambda entry: -(entry.effect.change if entry.effect is not None else 0.0))
    return tuple(Rule(text=entry.text, reason=entry.reason, when=entry.when) for entry in ranked[:MOST])


def waiting_candidate(
    cycles: Sequence[CycleRecord], incumbent: RuleSet | None, *, now: float, since: float = 0.0
) -> CarriedTest | None:
    """Return the candidate of the newest scheduled cycle, if it has no verdict.

    ``None`` for one without a candidate or from before ``since``, after too long a wait, and under another live rule
    set.
    """
    for cycle in cycles:
        try:
            outcome = msgspec.json.decode(cycle.outcome or b"", type=Outcome)
        except msgspec.DecodeError:
            continue
        if outcome.by == "cycle":
            carried = outcome.carried
            against = incumbent.hash if incumbent is not None else ""
            stays = carried is not None and carried.incumbent == against and carried.begun >= max(since, now - WAITS_S)
            return carried if stays else None
    return None


def _is_ahead(entry: RuleRecord, outcome: Outcome) -> bool:
    """Decide whether a rule was ahead by itself, or in a candidate ahead at the gate."""
    if entry.effect is not None:
        return entry.status != "dropped" and entry.effect.change > 0
    return entry.status == "kept" and outcome.verdict == "cannot tell" and outcome.fixed > outcome.broken


def _since_adoption(cycles: Sequence[CycleRecord]) -> Iterator[Outcome]:
    """Yield the outcomes up to the newest adoption, newest first; unreadable ones are left out."""
    for cycle in cycles:
        try:
            outcome = msgspec.json.decode(cycle.outcome or b"", type=Outcome)
        except msgspec.DecodeError:
            continue
        if outcome.adopted:
            return
        yield outcome
