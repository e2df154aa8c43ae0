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
from optimizer.distillation.outside_answer import outside_changes
from optimizer.distillation.selection.ablation import MIN_ITEMS, ablated
from optimizer.distillation.selection.telling import telling_order
from optimizer.evaluation.candidate_score import CandidateScore, TriedCandidate, compare_candidates, paired_outcomes
from optimizer.evaluation.evaluator import Evaluator, ModelClient

__all__ = ["MOST_RACED", "CandidateRace", "Selected", "paired_outcomes", "summary"]

FIRST_ITEMS = 6
"""Items for every candidate, before the first drop out."""
_FEW_ITEMS = 0.5
"""Share of replies with changes outside the answer that counts on fewer than ``MIN_ITEMS`` items."""
_NEAR_Z = 1.28
"""Two equal candidates are further apart in a fifth of the cases."""
SINGLES = 2
"""Rules also tried alone, without answers to spare for the others."""
MOST_RACED = 1 + 2 * len(FORMS) + 2 * SINGLES + 1
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

    Candidates with changes outside the answer, above ``outside_margin``, come behind all others. On top of the race of
    forms and ``SINGLES``, ``spare`` answers may be spent on trying more rules alone, and as many again on leaving rules
    out. Items of the ``reserve`` join the others where candidates are near.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        weak: ModelClient,
        grader: Grader,
        task: str,
        items: Sequence[Item],
        *,
        reserve: Sequence[Item] = (),
        spare: int = 0,
        outside_margin: float = 1.0,
        pinned: Sequence[Rule] = (),
    ) -> None:
        """``pinned`` rules stand in every candidate, in the place of their opposites."""
        self._evaluator = evaluator
        self._weak = weak
        self._grader = grader
        self._task = task
        self._items = items
        self._reserve = reserve
        self._first = len(items)
        self._spare = spare
        self._ordered = False
        self._outside_margin = outside_margin
        self.pinned = tuple(pinned)
        self._seen: dict[str, CandidateScore] = {}
        self._base: CandidateScore | None = None

    async def best_of(
        self,
        incumbent: RuleSet | None,
        rules: Sequence[Rule],
        max_rules: int,
        *,
        ordered: Sequence[Rule] = (),
        revised: bool = False,
        forms: Sequence[Scratchpad] = tuple(FORMS),
    ) -> Selected:
        """Race ``forms``, with the best rule and with all rules; in the best form, single rules; then leave rules out.

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
        # What spoils replies is a rule, not a form: the best form first, then clean rules in it.
        of_forms = [self.candidate(form, some) for form in forms for some in (every, best)]
        winner = (await self.race(of_forms, clean=False))[0]
        form = winner.rule_set.scratchpad
        singles = rules if self._can_try_alone(len(rules)) else rules[:SINGLES]
        alone = [_challenging(old, rule) for rule in singles]
        # A bad first rule spoils both candidates of each form: rules alone run without a form as well.
        in_form = [self.candidate(form, some) for some in (every, *alone)]
        winner = (await self.race([*in_form, *(self.candidate("none", some) for some in alone[:SINGLES])]))[0]
        left = await ablated(winner, self.run_all, answers=self._spare, unclean=self.unclean, kept=self.pinned)
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
        others = await self.run_each(forms)
        left = await ablated(base, self.run_all, answers=self._spare, kept=self.pinned)
        as_good = [tried for tried in (*others, left.score) if tried.mean >= base.mean]
        return self.chosen(min([base, *as_good], key=lambda tried: tried.tokens), base, left.effects)

    async def race(
        self, candidates: Sequence[RuleSet], *, clean: bool = True, first: int = FIRST_ITEMS, finalists: int = 1
    ) -> list[CandidateScore]:
        """Race to the end, best first: half of the candidates drop out after 6, 12, 24, ... items.

        With ``clean``, candidates that the gate would refuse for changes outside the answer come last. Nobody drops out
        before ``first`` items, and so many ``finalists`` run on all of them.
        """
        alive = list({candidate.hash: candidate for candidate in candidates}.values())
        done = 0
        while True:
            done = min(len(self._items), max(first, 2 * done)) if len(alive) > finalists else len(self._items)
            scores = sorted(
                await self._run(alive, done), key=lambda tried: (clean and self.unclean(tried), *tried.rank)
            )
            if done == len(self._items):
                return scores
            alive = [tried.rule_set for tried in scores[: max(finalists, math.ceil(len(scores) / 2))]]

    async def _run(self, rule_sets: Sequence[RuleSet], count: int) -> list[CandidateScore]:
        """Run candidates on the first ``count`` items; earlier answers come from the cache."""
        trials = await self._evaluator.trials_of_each(
            self._weak, self._items[:count], rule_sets, self._grader, stage="selection"
        )
        scores = [
            CandidateScore(rule_set=rule_set, trials=tuple(its))
            for rule_set, its in zip(rule_sets, trials, strict=True)
        ]
        self._seen.update({score.rule_set.hash: score for score in scores})
        return scores

    async def baseline(self, incumbent: RuleSet | None) -> CandidateScore:
        """The incumbent, or no rules, on all items; from then on those that tell candidates apart come early."""
        base = incumbent or self.candidate("none", ())
        self._base = await self.run_all(base)
        if not self._ordered:
            right = [trial.correct for trial in self._base.trials]
            self._items, self._ordered = telling_order(self._items, right), True
            self._base = await self.run_all(base)
        return self._base

    def ahead(self, tried: CandidateScore, earlier: CandidateScore) -> bool:
        """Tell if a candidate is better than an earlier choice: clean comes before right, and a tie changes nothing."""
        places = [(self.unclean(score), -score.mean) for score in (tried, earlier)]
        return places[0] < places[1]

    def unclean(self, tried: CandidateScore) -> bool:
        """Tell if the gate would refuse a candidate for its changes outside the answer: others come first."""
        if self._base is None or self._outside_margin >= 1:
            return False
        before = self._base.trials[: len(tried.trials)]
        # A few wrong answers in other words are no payload: on few items, only what most replies show counts.
        margin = self._outside_margin if len(before) >= MIN_ITEMS else max(self._outside_margin, _FEW_ITEMS)
        return any(change.refused for change in outside_changes(before, tried.trials, margin=margin))

    async def better(self, earlier: CandidateScore, later: CandidateScore) -> CandidateScore:
        """Return the better of two candidates, the earlier one at a tie; while they are near, items are added."""
        while True:
            earlier, later = await self.run_each([earlier.rule_set, later.rule_set])
            if not self._reserve or self.unclean(earlier) or self.unclean(later) or not near(earlier, later):
                return later if self.ahead(later, earlier) else earlier
            more = max(FIRST_ITEMS, len(self._items))
            self._items = [*self._items, *self._reserve[:more]]
            self._reserve = self._reserve[more:]
            if self._base is not None:
                self._base = await self.run_all(self._base.rule_set)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Ids of the items from the reserve that were used."""
        return tuple(item.id for item in self._items[self._first :])

    async def run_all(self, rule_set: RuleSet) -> CandidateScore:
        """A rule set on all items."""
        return (await self.run_each([rule_set]))[0]

    async def run_each(self, rule_sets: Sequence[RuleSet]) -> list[CandidateScore]:
        """Rule sets on all items, at the same time."""
        return await self._run(rule_sets, len(self._items))

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
        others = (rule for rule in rules if rule not in self.pinned)
        own = tuple(rule for rule in others if not any(opposite(rule, pinned) for pinned in self.pinned))
        return RuleSet(task=self._task, scratchpad=form, rules=(*self.pinned, *own) if self.pinned else rules)


def _challenging(old: Sequence[Rule], rule: Rule) -> tuple[Rule, ...]:
    """One new rule with the old ones, in the place of its opposites."""
    return (*(other for other in old if not opposite(other, rule)), rule)


def near(first: CandidateScore, second: CandidateScore) -> bool:
    """Tell if two candidates with different results on the same items may be in the wrong order."""
    return is_near([new.score - old.score for old, new in zip(first.trials, second.trials, strict=True)])


def is_near(differences: Sequence[float]) -> bool:
    """Tell if the differences (-1..1) item by item do not decide between two; without any, there is no point."""
    spread = math.sqrt(sum(difference * difference for difference in differences))
    return abs(sum(differences)) < _NEAR_Z * spread


def is_single_rule(rule_set: RuleSet) -> bool:
    """Tell if a rule set is nothing but a rule in some form."""
    return len(rule_set.rules) == 1 and not rule_set.examples and rule_set.worksheet is None


def summary(rule_set: RuleSet) -> str:
    """A candidate in a few words."""
    parts = ["; ".join(rule.text for rule in rule_set.rules) or "no rules"]
    if rule_set.examples:
        parts.append(f"{len(rule_set.examples)} examples ({rule_set.examples_mode})")
    if rule_set.worksheet is not None:
        replies = ", which are the reply" if rule_set.worksheet.decide == "answer" else ""
        parts.append(f"a worksheet with {len(rule_set.worksheet.decisions)} decisions{replies}")
    return f"scratchpad {rule_set.scratchpad}: {', '.join(parts)}"
