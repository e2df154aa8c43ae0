"""Candidates, sets of rules times forms of the scratchpad, raced against each other on the selection items.

Racing is successive halving (Jamieson & Talwalkar, arXiv 1502.07943): all run on a few items, the better half goes on
to more of the same items. A winner with several rules loses those without an effect (``ablation``). The race only
ranks, and decides nothing: the best of several always looks better than it is.
"""

import math
from collections.abc import Sequence

from gateway.domain import Effect, Rule, RuleSet, Scratchpad, Value
from gateway.forms import FORMS
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.distillation import rule_records as records
from optimizer.distillation.induction.merge import compatible, opposite
from optimizer.distillation.selection.ablation import MIN_ITEMS, ablated
from optimizer.evaluation.candidate_score import CandidateScore, TriedCandidate, compare_candidates, paired_outcomes
from optimizer.evaluation.evaluator import Evaluator, ModelClient

__all__ = ["MOST_RACED", "CandidateRace", "Selected", "paired_outcomes", "summary"]

FIRST_ITEMS = 6
"""Items for every candidate, before the first drop out."""
SINGLES = 2
"""Rules also tried alone, without answers to spare for the others."""
MOST_RACED = 1 + 2 * len(FORMS) + SINGLES + 1
"""Rule sets on selection items in any case, the incumbent and the bare form included."""


class Selected(Value, frozen=True):
    """The best candidate on the selection items, the incumbent, and all others."""

    best: CandidateScore
    incumbent: CandidateScore
    others: tuple[CandidateScore, ...]
    effects: dict[str, Effect]
    """The measured effects of single rules, by their ids."""

    @property
    def tried(self) -> tuple[TriedCandidate, ...]:
        """Quality against tokens of every rule set in the race."""
        return compare_candidates(self.incumbent, self.best, self.others)


class CandidateRace:
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

    async def best_of(
        self,
        incumbent: RuleSet | None,
        rules: Sequence[Rule],
        max_rules: int,
        *,
        ordered: Sequence[Rule] = (),
        revised: bool = False,
    ) -> Selected:
        """Race the forms, with the best rule and with all rules; in the best form, single rules; then leave rules out.

        ``rules`` are best first. A form runs with a single rule and with all of them: one bad rule spoils them all, and
        a small model able to follow one rule in a form may follow four in none (``docs/benchmark.md``), but
        conventions help as a whole only. ``ordered`` are the rules as one list, for the latter. They are added to the
        incumbent's while there is room; a full rule set is challenged by the new rules alone, and ``revised`` rules
        stand for the incumbent's. Opposites never stand together: the later rule is tried in the place of the earlier.
        A form without rules is no candidate: nothing in it was learnt from mistakes. But it runs after a single rule
        won in a form, lest the rule gets the credit of the form.
        """
        has_room = incumbent is not None and len(incumbent.rules) < max_rules
        old = incumbent.rules if incumbent is not None and has_room and not revised else ()
        every = compatible((*old, *(ordered or rules)))[:max_rules]
        base = await self.baseline(incumbent)
        best = _challenging(old, rules[0])
        winner = (await self.race([self.candidate(form, some) for form in FORMS for some in (every, best)]))[0]
        form = winner.rule_set.scratchpad
        singles = rules if self._can_try_alone(len(rules)) else rules[:SINGLES]
        sets = (every, *(_challenging(old, rule) for rule in singles))
        winner = (await self.race([self.candidate(form, some) for some in sets]))[0]
        left = await ablated(winner, self.run_all, answers=self._spare)
        return self.chosen(left.score, base, left.effects | await self._against_bare_form(left.score))

    async def _against_bare_form(self, winner: CandidateScore) -> dict[str, Effect]:
        """The effect of the only rule of a winner within its form, by the rule's id."""
        form, rules = winner.rule_set.scratchpad, winner.rule_set.rules
        if not FORMS[form].works or len(rules) != 1:
            return {}
        bare = await self.run_all(self.candidate(form, ()))
        pairs = paired_outcomes(bare.trials, winner.trials)
        return {rules[0].id: records.effect(pairs, tokens=winner.tokens - bare.tokens, alone=False)}

    async def cheapest_as_good(self, incumbent: RuleSet) -> Selected:
        """Choose the cheapest of the rule sets as good as the incumbent, itself included.

        TriedCandidate are its rules in the other forms, and in its own form without the rules of no effect.
        """
        base = await self.run_all(incumbent)
        forms = [self.candidate(form, incumbent.rules) for form in FORMS if form != incumbent.scratchpad]
        others = [await self.run_all(candidate) for candidate in forms]
        left = await ablated(base, self.run_all, answers=self._spare)
        as_good = [tried for tried in (*others, left.score) if tried.measured.accuracy >= base.measured.accuracy]
        return self.chosen(min([base, *as_good], key=lambda tried: tried.tokens), base, left.effects)

    async def race(self, candidates: Sequence[RuleSet]) -> list[CandidateScore]:
        """Race to the end, best first: half of the candidates drop out after 6, 12, 24, ... items."""
        alive = list({candidate.hash: candidate for candidate in candidates}.values())
        done = 0
        while True:
            done = len(self._items) if len(alive) == 1 else min(len(self._items), max(FIRST_ITEMS, 2 * done))
            scores = sorted([await self._run(candidate, done) for candidate in alive], key=lambda tried: tried.rank)
            if done == len(self._items):
                return scores
            alive = [tried.rule_set for tried in scores[: math.ceil(len(scores) / 2)]]

    async def _run(self, rule_set: RuleSet, count: int) -> CandidateScore:
        """Run a candidate on the first ``count`` items; earlier answers come from the cache."""
        trials = await self._evaluator.trials(
            self._weak, self._items[:count], rule_set, self._grader, stage="selection"
        )
        score = self._seen[rule_set.hash] = CandidateScore(rule_set=rule_set, trials=tuple(trials))
        return score

    async def baseline(self, incumbent: RuleSet | None) -> CandidateScore:
        """The incumbent, or no rules, on all items."""
        return await self.run_all(incumbent or self.candidate("none", ()))

    async def run_all(self, rule_set: RuleSet) -> CandidateScore:
        """A rule set on all items."""
        return await self._run(rule_set, len(self._items))

    def with_all_tried(self, selected: Selected) -> Selected:
        """An earlier choice beside everything that has run since."""
        return self.chosen(selected.best, selected.incumbent, selected.effects)

    def _can_try_alone(self, count: int) -> bool:
        """Tell if items are enough to tell rules apart, and answers even if no rule drops out early."""
        return len(self._items) >= MIN_ITEMS and count * len(self._items) <= self._spare

    def chosen(self, best: CandidateScore, base: CandidateScore, left_out: dict[str, Effect]) -> Selected:
        """A choice beside everything that has run, with the effects of single rules."""
        shown = (best.rule_set.hash, base.rule_set.hash)
        others = sorted((tried for key, tried in self._seen.items() if key not in shown), key=lambda tried: tried.rank)
        return Selected(best=best, incumbent=base, others=tuple(others), effects=self._effects(base) | left_out)

    def _effects(self, base: CandidateScore) -> dict[str, Effect]:
        """The effects of the rules alone on all items."""
        return {
            tried.rule_set.rules[0].id: records.effect(
                paired_outcomes(base.trials, tried.trials), tokens=tried.tokens - base.tokens, alone=True
            )
            for key, tried in self._seen.items()
            if is_single_rule(tried.rule_set) and len(tried.trials) == len(base.trials) and key != base.rule_set.hash
        }

    def candidate(self, form: Scratchpad, rules: tuple[Rule, ...]) -> RuleSet:
        """A rule set of this task, not yet published."""
        return RuleSet(task=self._task, scratchpad=form, rules=rules)


def _challenging(old: Sequence[Rule], rule: Rule) -> tuple[Rule, ...]:
    """One new rule with the old ones, in the place of its opposites."""
    return (*(other for other in old if not opposite(other, rule)), rule)


def is_single_rule(rule_set: RuleSet) -> bool:
    """Tell if a rule set is nothing but a rule in some form."""
    return len(rule_set.rules) == 1 and not rule_set.examples and rule_set.worksheet is None


def summary(rule_set: RuleSet) -> str:
    """A candidate in a few words."""
    parts = ["; ".join(rule.text for rule in rule_set.rules) or "no rules"]
    if rule_set.examples:
        parts.append(f"{len(rule_set.examples)} examples ({rule_set.examples_mode})")
    if rule_set.worksheet is not None:
        parts.append(f"a worksheet with {len(rule_set.worksheet.decisions)} decisions")
    return f"scratchpad {rule_set.scratchpad}: {', '.join(parts)}"
