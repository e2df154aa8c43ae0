"""Candidates: which rules in which form of the scratchpad, raced against each other on the selection items.

Racing is successive halving (Jamieson & Talwalkar, arXiv 1502.07943): all run on a few items, the better half goes on
to more of the same items. It only ranks: nothing here decides what goes live, because the best of several always looks
better than it is.
"""

import math
from collections.abc import Sequence

from gateway.domain import Measured, Rule, RuleSet, Scratchpad, Value
from gateway.settings import Grader
from optimizer.accept import Pairs
from optimizer.evaluate import Bench, Model, Trial, measured
from optimizer.items import Item

FIRST_ITEMS = 6
"""Items on which every candidate runs before the first ones drop out."""
SINGLES = 2
"""Rules that are also tried alone."""
_FORMS: tuple[Scratchpad, ...] = ("none", "tags", "two_pass")


class Standing(Value, frozen=True):
    """A candidate and how it did on the selection items that it has run on."""

    rule_set: RuleSet
    trials: tuple[Trial, ...]

    @property
    def measured(self) -> Measured:
        return measured(self.trials)

    @property
    def rank(self) -> tuple[float, float, int]:
        """Smaller is better: accuracy, then fewer output tokens, then fewer rules."""
        means = self.measured
        return (-means.accuracy, means.output_tokens, len(self.rule_set.rules))


class Selected(Value, frozen=True):
    """The best candidate on the selection items next to the incumbent, and everything else that ran."""

    best: Standing
    incumbent: Standing
    others: tuple[Standing, ...]


class Selection:
    """One search for the best candidate of a task."""

    def __init__(self, bench: Bench, weak: Model, grader: Grader, task: str, items: Sequence[Item]) -> None:
        self._bench = bench
        self._weak = weak
        self._grader = grader
        self._task = task
        self._items = items
        self._seen: dict[str, Standing] = {}

    async def best_of(self, incumbent: RuleSet | None, rules: Sequence[Rule], max_rules: int) -> Selected:
        """The form first, with all rules; then, in that form, single rules. ``rules`` are best first.

        Rules are added to the incumbent's while there is room; a full rule set is challenged by the new ones alone. A
        form without rules is no candidate: nothing in it was learnt from mistakes.
        """
        old = incumbent.rules if incumbent is not None and len(incumbent.rules) < max_rules else ()
        every = (*old, *rules)[:max_rules]
        base = await self._run(incumbent or self._candidate("none", ()), len(self._items))
        leader = (await self.race([self._candidate(form, every) for form in _FORMS]))[0].rule_set
        smaller = [self._candidate(leader.scratchpad, (*old, rule)) for rule in rules[:SINGLES]]
        best = (await self.race([leader, *smaller]))[0]
        shown = (best.rule_set.hash, base.rule_set.hash)
        others = sorted((one for key, one in self._seen.items() if key not in shown), key=lambda one: one.rank)
        return Selected(best=best, incumbent=base, others=tuple(others))

    async def race(self, candidates: Sequence[RuleSet]) -> list[Standing]:
        """The candidates that came to the end, best first: half of them drop out after 6, 12, 24, ... items."""
        alive = list({candidate.hash: candidate for candidate in candidates}.values())
        done = 0
        while True:
            done = len(self._items) if len(alive) == 1 else min(len(self._items), max(FIRST_ITEMS, 2 * done))
            standings = sorted([await self._run(one, done) for one in alive], key=lambda one: one.rank)
            if done == len(self._items):
                return standings
            alive = [one.rule_set for one in standings[: math.ceil(len(standings) / 2)]]

    async def _run(self, rule_set: RuleSet, count: int) -> Standing:
        """Run a candidate on the first ``count`` items; what it has answered before comes from the cache."""
        trials = await self._bench.trials(self._weak, self._items[:count], rule_set, self._grader, stage="selection")
        standing = self._seen[rule_set.hash] = Standing(rule_set=rule_set, trials=tuple(trials))
        return standing

    def _candidate(self, form: Scratchpad, rules: tuple[Rule, ...]) -> RuleSet:
        return RuleSet(task=self._task, scratchpad=form, rules=rules)


def pairs_of(before: Sequence[Trial], after: Sequence[Trial]) -> Pairs:
    """Right and wrong of two arms on the same items, in the same order."""
    outcomes = [(one.correct, other.correct) for one, other in zip(before, after, strict=True)]
    return Pairs(
        both=outcomes.count((True, True)),
        fixed=outcomes.count((False, True)),
        broken=outcomes.count((True, False)),
        neither=outcomes.count((False, False)),
    )


def summary(rule_set: RuleSet) -> str:
    """A candidate in a few words."""
    rules = "; ".join(rule.text for rule in rule_set.rules) or "no rules"
    return f"scratchpad {rule_set.scratchpad}: {rules}"
