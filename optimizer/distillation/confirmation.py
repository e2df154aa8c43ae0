"""Confirmation: one candidate at the gate, look by look. Also the commands around it, ``verify`` and ``measure``.

``verify`` is the gate alone for rules from anywhere; ``measure`` is one arm without a decision. Publishes nothing.
"""

from collections.abc import Sequence

from gateway.domain import Measured, RuleSet, Value
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.distillation.outcome import Outcome, Tested
from optimizer.distillation.selection.race import paired_outcomes
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial, measured
from optimizer.evaluation.noise import detectable, is_random, noise_floor
from optimizer.statistics.paired_test import MINIMUM, Gate, smallest_detectable, wilson


async def confirm(
    evaluator: Evaluator,
    weak: ModelClient,
    grader: Grader,
    gate: Gate,
    items: Sequence[Item],
    *,
    incumbent: RuleSet | None,
    candidate: RuleSet,
) -> Tested:
    """Answer the gate's planned items, in order, with both arms until the gate has a finding."""
    before: list[Trial] = []
    after: list[Trial] = []
    for look, upto in enumerate(gate.looks(), start=1):
        batch = items[len(before) : upto]
        before += await evaluator.trials(weak, batch, incumbent, grader, stage="confirmation")
        after += await evaluator.trials(weak, batch, candidate, grader, stage="confirmation")
        finding = gate.judge(look, paired_outcomes(before, after))
        if finding is not None:
            return Tested(candidate=candidate, finding=finding, before=tuple(before), after=tuple(after))
    raise AssertionError("unreachable: the last look always has a finding")


async def verify(
    evaluator: Evaluator,
    weak: ModelClient,
    grader: Grader,
    items: Sequence[Item],
    *,
    task: str,
    incumbent: RuleSet | None,
    candidate: RuleSet,
    margin: float,
) -> Outcome:
    """Compare two rule sets on all items; ``adopted`` tells if the gate would let the candidate go live.

    Raises ``BudgetSpent`` and the errors of the upstream.
    """
    outcome = Outcome(
        task=task,
        note=f"{len(items)} items are too few to tell anything from luck: {MINIMUM} are needed",
        against=incumbent.version or None if incumbent is not None else None,
        detectable=smallest_detectable(len(items)) if items else 1.0,
        rules=candidate.rules,
        scratchpad=candidate.scratchpad,
    )
    if len(items) < MINIMUM:
        return outcome
    gate = Gate(planned=len(items), margin=margin, futility=False)
    tested = await confirm(
        evaluator, weak, grader, gate, in_hash_order(items), incumbent=incumbent, candidate=candidate
    )
    noise = None
    if is_random(items, grader):
        noise = await noise_floor(evaluator, weak, grader, tested.before, incumbent=incumbent)
    return tested.on(
        Outcome(
            task=task,
            note="; ".join(filter(None, (tested.finding.note, evaluator.set_aside.note()))),
            adopted=tested.finding.verdict == "better",
            against=outcome.against,
            detectable=detectable(len(items), noise),
            noise=noise,
            calls=evaluator.ledger.calls,
            tokens=evaluator.ledger.tokens,
            set_aside=evaluator.set_aside.reasons,
        )
    )


class Measurement(Value, frozen=True):
    """One arm on some items, with the 95% score interval of its accuracy."""

    measured: Measured
    interval: tuple[float, float]
    trials: tuple[Trial, ...]


async def measure(
    evaluator: Evaluator, model: ModelClient, grader: Grader, items: Sequence[Item], *, rule_set: RuleSet | None
) -> Measurement:
    """Have one arm answer all items. Raises ``BudgetSpent`` and the errors of the upstream."""
    trials = await evaluator.trials(model, items, rule_set, grader, stage="eval")
    means = measured(trials)
    interval = wilson(sum(trial.correct for trial in trials), means.n) if means.n else (0.0, 1.0)
    return Measurement(measured=means, interval=interval, trials=tuple(trials))


def in_hash_order(items: Sequence[Item]) -> list[Item]:
    """The items in an order independent of the file's, so an early look sees a fair part of the file."""
    return sorted(items, key=lambda item: item.id)
