"""The lives of rules, from the strong model's reply to the gate, as values for outcomes and evidence.

Decides nothing: each stage of a cycle enters its decisions here.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Effect, Rule, RuleRecord, RuleSet, RuleStatus
from optimizer.statistics.paired_test import Pairs, paired_interval

BYTES_PER_TOKEN = 4
"""Of English text under usual tokenizers; the true cost of a prompt is counted by the upstream."""


def record(
    rule: Rule, status: RuleStatus = "proposed", why: str = "", *, mistakes: Sequence[str] = (), groups: int = 0
) -> RuleRecord:
    """Enter a rule into the books."""
    return RuleRecord(
        id=rule.id,
        text=rule.text,
        reason=rule.reason,
        status=status,
        why=why,
        mistakes=tuple(mistakes),
        groups=groups,
        tokens=about(rule),
        when=rule.when,
    )


def about(rule: Rule) -> int:
    """Estimate the tokens of a rule in a prompt."""
    return -(-len(rule.text.encode()) // BYTES_PER_TOKEN)


def effect(pairs: Pairs, *, tokens: float, alone: bool) -> Effect:
    """The effect of a rule: ``fixed`` items are right only with it; ``tokens`` are its cost per reply."""
    return Effect(
        change=(pairs.fixed - pairs.broken) / pairs.n if pairs.n else 0.0,
        interval=paired_interval(pairs),
        tokens=tokens,
        items=pairs.n,
        against="the incumbent" if alone else "the set without it",
    )


def settled(
    proposed: Sequence[RuleRecord],
    *,
    candidate: RuleSet,
    tried: Sequence[RuleSet],
    effects: Mapping[str, Effect],
) -> tuple[RuleRecord, ...]:
    """Close the books after the selection: rules are kept, dropped or only tried, with their measured effects.

    A rule left out on purpose stands in ``effects`` (by rule id) and not in the candidate. A rule of the incumbent is
    entered if the candidate holds it or a measurement dropped it.
    """
    kept = {rule.id for rule in candidate.rules}
    ran = {rule.id: rule for rule_set in tried for rule in rule_set.rules}
    ran |= {rule.id: rule for rule in candidate.rules}
    books = {entry.id: entry for entry in proposed}
    books |= {rule.id: record(rule) for rule in ran.values() if rule.id not in books}

    def closed(entry: RuleRecord) -> RuleRecord:
        if entry.id not in ran:
            return entry
        measured = effects.get(entry.id)
        status: RuleStatus = "kept" if entry.id in kept else "tried"
        why = _doubt(measured) if entry.id in kept else "no candidate with it was the best one"
        measured_out = measured is not None and measured.against == "the set without it" and measured.change <= 0
        if status == "tried" and measured is not None and measured_out:
            status = "dropped"
            why = f"left out without a loss ({measured.change:+.0%} on {measured.items} selection items)"
        return msgspec.structs.replace(entry, status=status, why=why, effect=measured)

    return tuple(closed(entry) for entry in books.values())


def _doubt(measured: Effect | None) -> str:
    """The reservation about a rule without a measured gain of its own; empty without any."""
    if measured is None or measured.against != "the set without it" or measured.change > 0:
        return ""
    change = f"{measured.change:+.0%} on {measured.items} items"
    return f"without it no fewer were right ({change}): the form may be what helps"


def of(rule_set: RuleSet, records: Sequence[RuleRecord]) -> tuple[RuleRecord, ...]:
    """The records of a rule set's own rules, in its order, for its evidence."""
    by_id = {entry.id: entry for entry in records}
    return tuple(by_id[rule.id] for rule in rule_set.rules if rule.id in by_id)
