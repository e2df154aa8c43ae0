"""Leave-one-out: a rule that changes nothing goes, because every prompt pays for it. Ranks only, like the race.

Also the defence against a passenger: a rule that somebody smuggled in through a user's text seldom makes answers
better, so it does not stay in a set that others made win.
"""

from collections.abc import Awaitable, Callable

import msgspec

from gateway.domain import Effect, RuleSet, Value
from optimizer.distillation import rule_records as records
from optimizer.evaluation.candidate_score import CandidateScore, paired_outcomes

MIN_ITEMS = 20
"""Selection items without which nothing is left out: with 20, a rule that fixes one item in ten would look idle in 12%
of cases (0.9 ** 20), with 10 in 35%."""

Run = Callable[[RuleSet], Awaitable[CandidateScore]]
"""Runs a candidate on all selection items."""


class Ablated(Value, frozen=True):
    """What is left of a candidate, and what each rule that was left out once changed, by the rule's id."""

    score: CandidateScore
    effects: dict[str, Effect]


async def ablated(whole: CandidateScore, run: Run, *, answers: int) -> Ablated:
    """Leave out each rule in turn, the least supported (last) first, and for good if nothing is lost by it.

    Nothing is lost if no fewer replies are right and, where equally many are, no more tokens are used. Each rule is
    compared with what is left by then, so of two rules that do the same one stays. The last rule stays: what is left
    must have been learnt. Takes at most ``answers`` answers; rules that it does not come to stay, without an effect.
    Raises what ``run`` raises.
    """
    best, effects = whole, dict[str, Effect]()
    count = len(whole.trials)
    for rule in reversed(whole.rule_set.rules):
        answers -= count
        if count < MIN_ITEMS or answers < 0 or len(best.rule_set.rules) < 2:
            break
        rest = tuple(other for other in best.rule_set.rules if other != rule)
        without = await run(msgspec.structs.replace(best.rule_set, rules=rest))
        effects[rule.id] = records.effect(
            paired_outcomes(without.trials, best.trials), tokens=best.tokens - without.tokens, alone=False
        )
        if (-without.measured.accuracy, without.tokens) <= (-best.measured.accuracy, best.tokens):
            best = without
    return Ablated(score=best, effects=effects)
