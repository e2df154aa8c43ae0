"""Leave-one-out: a rule without an effect goes, because every prompt pays for it. Ranks only, like the race.

Also the defence against a passenger: a rule smuggled in through a user's text seldom makes answers better, so it does
not stay in a set won by other rules. Nor does one with a gain for a single tenant only, or one that changes replies
outside the graded answer.
"""

from collections.abc import Awaitable, Callable, Collection

import msgspec

from gateway.domain import Effect, Rule, RuleSet, Value
from optimizer.distillation import rule_records as records
from optimizer.distillation.tenant_check import helps_one_only
from optimizer.evaluation.candidate_score import CandidateScore, paired_outcomes

MIN_ITEMS = 20
"""Selection items needed to leave a rule out: with 20, a rule with a fix in every ten items would look idle in 12% of
cases (0.9 ** 20), with 10 in 35%."""

Run = Callable[[RuleSet], Awaitable[CandidateScore]]
"""Runs a candidate on all selection items."""


class Ablated(Value, frozen=True):
    """The rest of a candidate, and the effect of each rule left out, by the rule's id."""

    score: CandidateScore
    effects: dict[str, Effect]


async def ablated(
    whole: CandidateScore,
    run: Run,
    *,
    answers: int,
    unclean: Callable[[CandidateScore], bool] = lambda score: False,
    kept: Collection[Rule] = (),
) -> Ablated:
    """Leave out each rule in turn, the least supported (last) first, and for good if nothing is lost by it.

    Nothing is lost if no fewer replies are right and, at a tie, no more tokens are used; where several tenants ask, a
    gain for one of them is none. A candidate that is not ``unclean`` is better than one that is. Each rule is compared
    with the rest at its turn, so of two equivalent rules the better supported stays. The last rule stays: a candidate
    holds something learnt. Rules to be ``kept`` are never left out. Takes at most ``answers`` answers; rules beyond
    them stay, without an effect. Raises the errors of ``run``.
    """
    best, effects = whole, dict[str, Effect]()
    count = len(whole.trials)
    for rule in reversed([rule for rule in whole.rule_set.rules if rule not in kept]):
        answers -= count
        if count < MIN_ITEMS or answers < 0 or len(best.rule_set.rules) < 2:
            break
        rest = tuple(other for other in best.rule_set.rules if other != rule)
        without = await run(msgspec.structs.replace(best.rule_set, rules=rest))
        effects[rule.id] = records.effect(
            paired_outcomes(without.trials, best.trials), tokens=best.tokens - without.tokens, alone=False
        )
        gained = best.mean
        if helps_one_only(without.trials, best.trials):
            gained = min(gained, without.mean)
        if (unclean(without), -without.mean, without.tokens) <= (unclean(best), -gained, best.tokens):
            best = without
    return Ablated(score=best, effects=effects)
