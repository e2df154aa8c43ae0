"""Sum up one model on some examples (quality, time, tokens, money), and compare two.

The comparison is a test of non-inferiority by the gate's paired interval: does the cheaper arm lose more than a margin?
It is made once, on examples without influence on any choice, so no correction for repeated looks is due.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, median, quantiles
from typing import Any, Literal

from gateway.domain import RuleSet, Scratchpad, Usage, Value, VerdictName
from gateway.prices import cost_usd
from gateway.settings.models import Price
from optimizer.dataset.recorded_request import read_request
from optimizer.evaluation.candidate_score import paired_outcomes
from optimizer.evaluation.evaluator import Trial
from optimizer.statistics.paired_test import Pairs, paired_interval, wilson

ArmName = Literal["strong", "weak", "weak + rules"]

SHOWN = 6
"""Most examples of each kind in a report."""
_NORMAL = NormalDist()


class ArmSummary(Value, frozen=True):
    """One model on ``n`` examples: accuracy in 0..1 with its 95% interval; mean tokens, median latency."""

    name: ArmName
    model: str
    rules: int | None
    """Version of the rule set; ``None`` for no rules."""
    scratchpad: Scratchpad
    accuracy: float
    n: int
    interval: tuple[float, float]
    prompt_tokens: float
    output_tokens: float
    latency_s: float
    latency_p95_s: float
    usd_per_thousand: float | None
    """``None`` where the model has no price."""
    usd_per_month: float | None
    recorded: int = 0
    """Answers from the log, with their latency of that time."""
    own_reference: int = 0
    """Examples whose only label is an earlier answer of this model."""
    self_agreement: int = 0
    """Examples among ``own_reference`` on which this model, asked again, agrees with its earlier answer."""


class ModelComparison(Value, frozen=True):
    """The candidate against the strong model on the same examples."""

    candidate: ArmName
    verdict: VerdictName
    pairs: Pairs
    """``fixed``: only the candidate was right; ``broken``: only the strong model was."""
    interval: tuple[float, float]
    """95% interval of the change in accuracy."""
    margin: float
    note: str


class Shown(Value, frozen=True):
    """One example with the reply of each arm."""

    id: str
    input: str
    expected: Any
    replies: dict[str, str]
    """By the arm's name."""
    right: tuple[str, ...]
    """The arms that were right."""


class Differing(Value, frozen=True):
    """Examples on which two arms differ: their number, and the first of them."""

    count: int = 0
    shown: tuple[Shown, ...] = ()


class ArmResult(Value, frozen=True):
    """An arm with all its answers."""

    arm: ArmSummary
    trials: tuple[Trial, ...]


def arm_result(
    name: ArmName,
    model: str,
    rule_set: RuleSet | None,
    trials: Sequence[Trial],
    price: Price,
    *,
    calls_per_month: float | None,
    recorded: int = 0,
) -> ArmResult:
    """Sum up the trials of an arm; there is at least one trial."""
    own = [trial for trial in trials if trial.item.labelled_by == model]
    n, right = len(trials), sum(trial.correct for trial in trials)
    usage = sum((trial.answer.usage for trial in trials), Usage())
    latencies = [trial.answer.latency_s for trial in trials]
    paid = cost_usd(price, usage)
    thousand = None if paid is None else 1000 * paid / n
    arm = ArmSummary(
        name=name,
        model=model,
        rules=rule_set.version if rule_set is not None else None,
        scratchpad=rule_set.scratchpad if rule_set is not None else "none",
        accuracy=right / n,
        n=n,
        interval=wilson(right, n),
        prompt_tokens=usage.prompt_tokens / n,
        output_tokens=usage.output_tokens / n,
        latency_s=median(latencies),
        latency_p95_s=quantiles(latencies, n=20, method="inclusive")[-1] if n > 1 else latencies[0],
        usd_per_thousand=thousand,
        usd_per_month=None if thousand is None or calls_per_month is None else thousand * calls_per_month / 1000,
        recorded=recorded,
        own_reference=len(own),
        self_agreement=sum(trial.correct for trial in own),
    )
    return ArmResult(arm=arm, trials=tuple(trials))


def compare(strong: ArmResult, candidate: ArmResult, *, margin: float) -> ModelComparison:
    """Decide whether the candidate is as good as the strong model, within ``margin`` (0..1)."""
    pairs = paired_outcomes(strong.trials, candidate.trials)
    low, high = paired_interval(pairs)
    verdict: VerdictName
    if low > 0:
        verdict, note = "better", "it is better than the strong model"
    elif low > -margin:
        verdict, note = "non-inferior", f"a loss of more than {margin:.0%} is ruled out"
    elif high < 0:
        verdict, note = "worse", "it loses against the strong model"
    else:
        verdict = "cannot tell"
        note = f"a loss of more than {margin:.0%} is not ruled out; {_still_needed(pairs, margin)}"
    return ModelComparison(
        candidate=candidate.arm.name, verdict=verdict, pairs=pairs, interval=(low, high), margin=margin, note=note
    )


def needed(pairs: Pairs, margin: float, *, power: float = 0.8) -> int | None:
    """Return the examples needed to show non-inferiority if the true loss is the loss seen here.

    A gain counts as no loss. ``None`` if the loss seen reaches the margin: no number of examples would be enough.
    """
    loss = max(0.0, (pairs.broken - pairs.fixed) / pairs.n)
    if loss >= margin:
        return None
    variance = max(0.02, (pairs.fixed + pairs.broken) / pairs.n) - loss**2
    return math.ceil((_NORMAL.inv_cdf(0.975) + _NORMAL.inv_cdf(power)) ** 2 * variance / (margin - loss) ** 2)


def _still_needed(pairs: Pairs, margin: float) -> str:
    loss, examples = (pairs.broken - pairs.fixed) / pairs.n, needed(pairs, margin)
    if examples is None:
        return f"the loss seen is {100 * loss:.1f} points, so more examples would help only if it is chance"
    seen = f"with the loss seen ({100 * loss:.1f} points)" if loss > 0 else "without any true loss"
    return f"{seen} that takes about {examples:,} examples"


def differing(runs: Sequence[ArmResult], *, right: ArmName, wrong: ArmName) -> Differing:
    """Return the examples with one arm right and another wrong; empty if one of the two did not run."""
    by_name = {run.arm.name: run for run in runs}
    if right not in by_name or wrong not in by_name:
        return Differing()
    pairs = zip(by_name[right].trials, by_name[wrong].trials, strict=True)
    indices = [index for index, (good, bad) in enumerate(pairs) if good.correct and not bad.correct]
    return Differing(count=len(indices), shown=tuple(_shown(runs, index) for index in indices[:SHOWN]))


def _shown(runs: Sequence[ArmResult], index: int) -> Shown:
    trials = {str(run.arm.name): run.trials[index] for run in runs}
    item = runs[0].trials[index].item
    return Shown(
        id=item.id,
        input=read_request(item.request).transcript,
        expected=item.expected,
        replies={name: trial.answer.text for name, trial in trials.items()},
        right=tuple(name for name, trial in trials.items() if trial.correct),
    )
