"""Candidates: which rules in which form of the scratchpad, raced against each other on the selection items.

Racing is successive halving (Jamieson & Talwalkar, arXiv 1502.07943): all run on a few items, the better half goes on
to more of the same items. What wins with several rules is stripped of those without an effect (``ablation``). It only
ranks: nothing here decides what goes live, because the best of several always looks better than it is.
"""

import math
from collections.abc import Sequence

from gateway.domain import Effect, Rule, RuleSet, Scratchpad, Value
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.distillation import rule_records as records
from optimizer.distillation.induction.merge import compatible, opposite
from optimizer.distillation.selection.ablation import MIN_ITEMS, ablated
from optimizer.evaluation.candidate_score import CandidateScore, TriedCandidate, compare_candidates, paired_outcomes
from optimizer.evaluation.evaluator import Evaluator, ModelClient

__all__ = ["MOST_RACED", "Selected", "Selection", "paired_outcomes", "summary"]

FIRST_ITEMS = 6
"""Items on which every candidate runs before the first ones drop out."""
SINGLES = 2
"""Rules that are also tried alone, if there are no answers to spare for the others."""
_FORMS: tuple[Scratchpad, ...] = ("none", "tags", "two_pass")
MOST_RACED = 1 + len(_FORMS) + SINGLES + 1
"""Rule sets that may run on selection items in any case, the incumbent and the bare form included."""


class Selected(Value, frozen=True):
    """The best candidate on the selection items next to the incumbent, and everything else that ran."""

    best: CandidateScore
    incumbent: CandidateScore
    others: tuple[CandidateScore, ...]
    effects: dict[str, Effect]
    """What single rules changed, by their ids, where it was measured."""

    @property
    def tried(self) -> tuple[TriedCandidate, ...]:
        """Quality against tokens of everything that ran."""
        return compare_candidates(self.incumbent, self.best, self.others)


class Selection:
    """One search for the best candidate of a task.

    On top of the race of forms and ``SINGLES``, ``spare`` answers may be spent on trying more rules alone, and as many
    again on leaving rules out.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        weak: ModelClient,
        grader: Grader,
        task: str,
        items: Sequence[Item],
        *,
        spare: int = 0,
    ) -> None:
        self._evaluator = evaluator
        self._weak = weak
        self._grader = grader
        self._task = task
        self._items = items
        self._spare = spare
        self._seen: dict[str, CandidateScore] = {}

    async def best_of(self, incumbent: RuleSet | None, rules: Sequence[Rule], max_rules: int) -> Selected:
        """The form first, with the best rule; then, in that form, all rules and single ones; then the winner without
        each of its rules.

        ``rules`` are best first. All of them at once are no measure of a form: what spoils one spoils them all, and a
        small model that follows one rule in a form may follow four in none (``docs/benchmark.md``). They are added to
        the incumbent's while there is room; a full rule set is challenged by the new ones alone. Rules that say the
        opposite of each other never stand together: the later one is tried in the other's place. A form without rules
        is no candidate: nothing in it was learnt from mistakes. But it is run where one rule wins in a form, because
        else that rule would be credited with what the form does.
        """
        old = incumbent.rules if incumbent is not None and len(incumbent.rules) < max_rules else ()
        every = compatible((*old, *rules))[:max_rules]
        base = await self._run(incumbent or self._candidate("none", ()), len(self._items))
        best = _challenging(old, rules[0])
        form = (await self.race([self._candidate(form, best) for form in _FORMS]))[0].rule_set.scratchpad
        singles = rules if self._can_try_alone(len(rules)) else rules[:SINGLES]
        sets = (every, *(_challenging(old, rule) for rule in singles))
        winner = (await self.race([self._candidate(form, some) for some in sets]))[0]
        left = await ablated(winner, self._run_all, answers=self._spare)
        return self._selected(left.score, base, left.effects | await self._against_bare_form(left.score))

    async def _against_bare_form(self, winner: CandidateScore) -> dict[str, Effect]:
        """What the only rule of a winner changed in its form, by its id."""
        form, rules = winner.rule_set.scratchpad, winner.rule_set.rules
        if form == "none" or len(rules) != 1:
            return {}
        bare = await self._run_all(self._candidate(form, ()))
        pairs = paired_outcomes(bare.trials, winner.trials)
        return {rules[0].id: records.effect(pairs, tokens=winner.tokens - bare.tokens, alone=False)}

    async def cheapest_as_good(self, incumbent: RuleSet) -> Selected:
        """What does as well as the incumbent for the fewest tokens: its rules in another form, or in its own without
        those that have no effect; itself if nothing does."""
        base = await self._run_all(incumbent)
        forms = [self._candidate(form, incumbent.rules) for form in _FORMS if form != incumbent.scratchpad]
        others = [await self._run_all(one) for one in forms]
        left = await ablated(base, self._run_all, answers=self._spare)
        as_good = [one for one in (*others, left.score) if one.measured.accuracy >= base.measured.accuracy]
        return self._selected(min([base, *as_good], key=lambda one: one.tokens), base, left.effects)

    async def race(self, candidates: Sequence[RuleSet]) -> list[CandidateScore]:
        """The candidates that came to the end, best first: half of them drop out after 6, 12, 24, ... items."""
        alive = list({candidate.hash: candidate for candidate in candidates}.values())
        done = 0
        while True:
            done = len(self._items) if len(alive) == 1 else min(len(self._items), max(FIRST_ITEMS, 2 * done))
            scores = sorted([await self._run(one, done) for one in alive], key=lambda one: one.rank)
            if done == len(self._items):
                return scores
            alive = [one.rule_set for one in scores[: math.ceil(len(scores) / 2)]]

    async def _run(self, rule_set: RuleSet, count: int) -> CandidateScore:
        """Run a candidate on the first ``count`` items; what it has answered before comes from the cache."""
        trials = await self._evaluator.trials(
            self._weak, self._items[:count], rule_set, self._grader, stage="selection"
        )
        score = self._seen[rule_set.hash] = CandidateScore(rule_set=rule_set, trials=tuple(trials))
        return score

    async def _run_all(self, rule_set: RuleSet) -> CandidateScore:
        return await self._run(rule_set, len(self._items))

    def _can_try_alone(self, count: int) -> bool:
        """Whether there are items enough to tell rules apart, and answers enough if none of them dropped out early."""
        return len(self._items) >= MIN_ITEMS and count * len(self._items) <= self._spare

    def _selected(self, best: CandidateScore, base: CandidateScore, left_out: dict[str, Effect]) -> Selected:
        shown = (best.rule_set.hash, base.rule_set.hash)
        others = sorted((one for key, one in self._seen.items() if key not in shown), key=lambda one: one.rank)
        return Selected(best=best, incumbent=base, others=tuple(others), effects=self._effects(base) | left_out)

    def _effects(self, base: CandidateScore) -> dict[str, Effect]:
        """What rules did that ran alone on all items."""
        return {
            one.rule_set.rules[0].id: records.effect(
                paired_outcomes(base.trials, one.trials), tokens=one.tokens - base.tokens, alone=True
            )
            for key, one in self._seen.items()
            if len(one.rule_set.rules) == 1 and len(one.trials) == len(base.trials) and key != base.rule_set.hash
        }

    def _candidate(self, form: Scratchpad, rules: tuple[Rule, ...]) -> RuleSet:
        return RuleSet(task=self._task, scratchpad=form, rules=rules)


def _challenging(old: Sequence[Rule], rule: Rule) -> tuple[Rule, ...]:
    """One new rule with the old ones, and in the place of those that say the opposite."""
    return (*(other for other in old if not opposite(other, rule)), rule)


def summary(rule_set: RuleSet) -> str:
    """A candidate in a few words."""
    rules = "; ".join(rule.text for rule in rule_set.rules) or "no rules"
    return f"scratchpad {rule_set.scratchpad}: {rules}"
