"""The lives of rules, from the strong model's reply to the gate, as values for outcomes and evidence.

Decides nothing: whoever refuses, merges, tries or drops a rule says so here.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Effect, Rule, RuleRecord, RuleSet, RuleStatus
from optimizer.statistics.paired_test import Pairs, paired_interval

BYTES_PER_TOKEN = 4
"""Of English text under usual tokenizers; what a prompt really costs is what the upstream counts."""


def record(
    rule: Rule, status: RuleStatus = "proposed", why: str = "", *, mistakes: Sequence[str] = (), groups: int = 0
) -> RuleRecord:
    """A rule as it enters the books."""
    return RuleRecord(
        id=rule.id,
        text=rule.text,
        reason=rule.reason,
        status=status,
        why=why,
        mistakes=tuple(mistakes),
        groups=groups,
        tokens=about(rule),
    )


def about(rule: Rule) -> int:
    """About how many tokens a rule adds to a prompt."""
    return -(-len(rule.text.encode()) // BYTES_PER_TOKEN)


def effect(pairs: Pairs, *, tokens: float, alone: bool) -> Effect:
    """What a rule changed: ``fixed`` items are right with it only; ``tokens`` per reply are what it added."""
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
    """The books after the selection: kept, dropped or only tried, with what was measured (by rule id).

    A rule that was left out on purpose stands in ``effects`` and not in the candidate. The incumbent's own rules are
    entered where the candidate holds them or a measurement dropped them.
    """
    kept = {rule.id for rule in candidate.rules}
    ran = {rule.id: rule for rule_set in tried for rule in rule_set.rules}
    ran |= {rule.id: rule for rule in candidate.rules}
    books = {one.id: one for one in proposed}
    books |= {rule.id: record(rule) for rule in ran.values() if rule.id not in books}

    def closed(one: RuleRecord) -> RuleRecord:
        if one.id not in ran:
            return one
        found = effects.get(one.id)
        status: RuleStatus = "kept" if one.id in kept else "tried"
        why = _doubt(found) if one.id in kept else "no candidate with it was the best one"
        if status == "tried" and found is not None and found.against == "the set without it":
            status, why = "dropped", f"left out without a loss ({found.change:+.0%} on {found.items} selection items)"
        return msgspec.structs.replace(one, status=status, why=why, effect=found)

    return tuple(closed(one) for one in books.values())


def _doubt(found: Effect | None) -> str:
    """What is to be said of a rule that stays."""
    if found is None or found.against != "the set without it" or found.change > 0:
        return ""
    return f"without it no fewer were right ({found.change:+.0%} on {found.items} items): the form may be what helps"


def of(rule_set: RuleSet, records: Sequence[RuleRecord]) -> tuple[RuleRecord, ...]:
    """The records of a rule set's own rules, in its order, for its evidence."""
    by_id = {one.id: one for one in records}
    return tuple(by_id[rule.id] for rule in rule_set.rules if rule.id in by_id)
