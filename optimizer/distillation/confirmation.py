"""Confirmation: one candidate at the gate, look by look. Also the commands around it, ``verify`` and ``measure``.

``verify`` is the gate alone for rules from anywhere; ``measure`` is one arm without a decision. Publishes nothing.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.domain import Measured, RuleSet, Value
from gateway.forms import FORMS
from gateway.proof import GroupResult, LabelSources, MainEffect, PromisedGain
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.distillation.audit_sample import sources_of
from optimizer.distillation.item_groups import groups_of
from optimizer.distillation.outcome import Outcome, Tested
from optimizer.distillation.outside_answer import with_outside
from optimizer.distillation.paired_trials import basis_of, claim, in_spite_of_gaps, paired_sample, plain_sample
from optimizer.evaluation.budget import BudgetSpent
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial, measured
from optimizer.evaluation.grader_health import CannotGrade
from optimizer.evaluation.noise import detectable, is_random, noise_floor
from optimizer.statistics.adjusted_gain import LookState, adjusted_gain, state_of
from optimizer.statistics.cluster_sums import PairedSample, share_interval
from optimizer.statistics.group_guard import group_changes
from optimizer.statistics.paired_test import LEVEL, MINIMUM, Finding, Gate, smallest_detectable


async def confirm(
    evaluator: Evaluator,
    weak: ModelClient,
    grader: Grader,
    gate: Gate,
    items: Sequence[Item],
    *,
    incumbent: RuleSet | None,
    candidate: RuleSet,
    past: Sequence[LookState] = (),
    labels: LabelSources | None = None,
) -> Tested:
    """Answer the gate's planned items, in order, with both arms until the gate has a finding.

    The first ``gate.begun`` items and the looks ``past`` are those of earlier stages; a look at them is over.
    """
    basis = basis_of(items)
    before: list[Trial] = []
    after: list[Trial] = []
    looks = [msgspec.structs.replace(look, counts=False) for look in past]
    for look, upto in enumerate(gate.looks(), start=1):
        batch = items[len(before) : upto]
        before += await evaluator.trials(weak, batch, incumbent, grader, stage="confirmation")
        after += await evaluator.trials(weak, batch, candidate, grader, stage="confirmation")
        seen = await paired_sample(evaluator, grader, before, after, basis=basis)
        sample = in_spite_of_gaps(seen, before, labels)
        held_to = gate.needed(look), gate.futile_below(look)
        looks.append(state_of(sample, needed=held_to[0], level=gate.level, futile_below=held_to[1]))
        finding = gate.judge(look, sample)
        if finding is not None:
            return Tested(
                candidate=candidate,
                finding=_with_gaps(finding, labels),
                before=tuple(before),
                after=tuple(after),
                claim=claim(items),
                labels=labels,
                accuracies=_accuracies(sample),
                looks=tuple(looks),
                promised=_promised(gate, look, looks, sample) if finding.verdict == "better" else None,
            )
    raise AssertionError("unreachable: the last look always has a finding")


def judged(
    gate: Gate,
    before: Sequence[Trial],
    after: Sequence[Trial],
    *,
    candidate: RuleSet,
    last: int,
    labels: LabelSources | None = None,
) -> Tested | None:
    """Judge an arm that has answered already, look by look up to ``last``; ``None`` without a finding by then."""
    looks: list[LookState] = []
    for look, upto in enumerate(gate.looks()[:last], start=1):
        sample = in_spite_of_gaps(plain_sample(before[:upto], after[:upto]), before[:upto], labels)
        looks.append(state_of(sample, needed=gate.needed(look), level=gate.level, futile_below=None))
        finding = gate.judge(look, sample)
        if finding is not None and (finding.verdict == "better" or look == last):
            return Tested(
                candidate=candidate,
                finding=finding,
                before=tuple(before[:upto]),
                after=tuple(after[:upto]),
                accuracies=_accuracies(sample),
                looks=tuple(looks),
                promised=_promised(gate, look, looks, sample) if finding.verdict == "better" else None,
            )
    return None


async def with_effects(
    tested: Tested, evaluator: Evaluator, weak: ModelClient, grader: Grader, *, incumbent: RuleSet | None
) -> Tested:
    """Return a test with the main effects of form and rules, from a third arm on the same items.

    The third arm is the candidate's form with neutral words. It is left out where the form does nothing, where the
    incumbent has the form already, and where the budget does not reach.
    """
    form, old = tested.candidate.scratchpad, incumbent.scratchpad if incumbent is not None else "none"
    if not FORMS[form].works or form == old:
        return tested
    bare = RuleSet(task=tested.candidate.task, scratchpad=form)
    if bare.hash == tested.candidate.hash:
        return tested
    items = [trial.item for trial in tested.before]
    try:
        between = await evaluator.trials(weak, items, bare, grader, stage="three arms")
    except BudgetSpent:
        return tested
    parts: tuple[tuple[Literal["form", "rules"], PairedSample], ...] = (
        ("form", plain_sample(tested.before, between)),
        ("rules", plain_sample(between, tested.after)),
    )
    effects = tuple(
        MainEffect(part=part, change=sample.change, interval=sample.interval, items=sample.n) for part, sample in parts
    )
    return msgspec.structs.replace(tested, main_effects=effects, form_alone=tuple(between))


def with_groups(tested: Tested, *, margin: float) -> tuple[Tested, str]:
    """Return a test with its groups, and the reason against the change if one of them lost more than ``margin``."""
    sample = plain_sample(tested.before, tested.after)
    changes = group_changes(sample.outcomes, groups_of([trial.item for trial in tested.before]), allowed=margin)
    results = tuple(
        GroupResult(
            group=change.group, items=change.n, before=change.before, after=change.after, detectable=change.detectable
        )
        for change in changes
    )
    harmed = next((change for change in changes if change.harmed), None)
    reason = ""
    if harmed is not None:
        reason = (
            f"{harmed.group} pays for the gain: {harmed.before:.0%} -> {harmed.after:.0%} on {harmed.n} items"
            f" (p = {harmed.p_worse:.2g}; a loss of up to {margin:.0%} is allowed)"
        )
    return msgspec.structs.replace(tested, groups=results), reason


def _with_gaps(finding: Finding, labels: LabelSources | None) -> Finding:
    """The finding with a word on the items that the queue passed over."""
    if labels is None or not labels.passed_over:
        return finding
    note = f"{finding.note}; {labels.passed_over} items that the queue asked about in vain count as losses"
    return msgspec.structs.replace(finding, note=note)


def _accuracies(sample: PairedSample) -> tuple[float, float]:
    """The weighted accuracies of both arms."""
    weight = sample.weight or 1.0
    before = sum(outcome.weight * outcome.before for outcome in sample.outcomes) / weight
    return (before, before + sample.change)


def _promised(gate: Gate, look: int, looks: Sequence[LookState], sample: PairedSample) -> PromisedGain:
    """The gain of an adopted candidate, adjusted for the choice of what is adopted."""
    per_item = sample.weight / sample.n if sample.n else 1.0
    later = [
        LookState(
            weight=gate.looks()[place - 1] * per_item, total=0.0, squares=0.0, flips=0, clusters=0,
            needed=gate.needed(place), level=gate.level, futile_below=gate.futile_below(place),
        )
        for place in range(look + 1, len(gate.looks()) + 1)
    ]  # fmt: skip
    adjusted = adjusted_gain(looks, later)
    return PromisedGain(gain=adjusted.gain, interval=adjusted.interval)


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
    group_margin: float,
    outside_margin: float,
    level: float = LEVEL,
) -> Outcome:
    """Compare two rule sets on all items; ``adopted`` tells if the gate would let the candidate go live.

    ``level`` is the share of useless changes that pass.

    Raises ``BudgetSpent`` and the errors of the upstream.
    """
    labels, units = sources_of(items), len({item.unit for item in items})
    counted = "items are" if units == len(items) else f"clusters of {len(items)} items are"
    outcome = Outcome(
        task=task,
        note=f"{units} {counted} too few to tell anything from luck: {MINIMUM} are needed",
        against=incumbent.version or None if incumbent is not None else None,
        detectable=smallest_detectable(units, alpha=level) if items else 1.0,
        rules=candidate.rules,
        scratchpad=candidate.scratchpad,
        labels=labels,
    )
    if units < MINIMUM:
        return outcome
    gate = Gate(planned=len(items), margin=margin, futility=False, level=level)
    tested = await confirm(
        evaluator, weak, grader, gate, in_hash_order(items), incumbent=incumbent, candidate=candidate, labels=labels
    )
    noise = None
    if is_random(items, grader):
        noise = await noise_floor(evaluator, weak, grader, tested.before, incumbent=incumbent)
    tested, harm = with_groups(tested, margin=group_margin)
    tested, harm = with_outside(tested, harm, margin=outside_margin)
    return tested.on(
        Outcome(
            task=task,
            note="; ".join(filter(None, (tested.finding.note, harm, evaluator.set_aside.note()))),
            adopted=tested.finding.verdict == "better" and not harm,
            against=outcome.against,
            detectable=detectable(units, noise, level=level),
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
    """Have one arm answer all items. Raises ``BudgetSpent``, ``CannotGrade`` and the errors of the upstream."""
    trials = await evaluator.trials(model, items, rule_set, grader, stage="eval")
    means = measured(trials)
    if trials and means.ungraded == len(trials):
        raise CannotGrade(f"cannot grade: no reply got a verdict ({trials[0].ungraded})")
    interval = share_interval([(trial.item.unit, trial.score) for trial in trials])
    return Measurement(measured=means, interval=interval, trials=tuple(trials))


def in_hash_order(items: Sequence[Item]) -> list[Item]:
    """The items in an order independent of the file's, clusters together, for a fair early look."""
    return sorted(items, key=lambda item: (item.unit, item.id))
