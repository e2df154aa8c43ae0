"""The state of a task's roll-out for people: ``preceptor tasks show`` and the admin API. Decides nothing."""

import math
from collections.abc import Sequence

from gateway.domain import Activation, Value
from gateway.rules.decisions import describe, version_name
from gateway.settings import Task
from gateway.store.history import ActiveDecisions
from gateway.store.notes import RolloutView
from optimizer.monitoring.rollout.arms import Subject
from optimizer.monitoring.rollout.comparison import ArmCounts, Comparison, Guardrail
from optimizer.monitoring.rollout.decide import Assessment, weak_share
from optimizer.monitoring.rollout.labels import DriftWatch, ModelAgreement


class Benefit(Value, frozen=True):
    """The effect of the live rules, measured against conversations without rules."""

    change: float
    """Share of good replies with the rules less that without them, -1..1."""
    interval: tuple[float, float]
    """95% interval of the change, for one look (Agresti & Caffo, The American Statistician 54 (2000) 280)."""
    of: str
    """``labelled replies``, or ``replies`` where too few are labelled: good then means no sign of failure."""


class Rail(Value, frozen=True):
    """A guardrail in numbers."""

    name: str
    e_value: float
    limit: float
    why: str


class Compared(Value, frozen=True):
    """A comparison in numbers."""

    subject: Subject
    version: int | None
    since: float
    challenger: ArmCounts
    incumbent: ArmCounts
    guardrails: tuple[Rail, ...]


class RolloutStatus(RolloutView, frozen=True):
    """The watch's knowledge of a task. Times are seconds since the epoch, shares 0..1."""

    live: int | None = None
    canary: int | None = None
    canary_share: float = 0.0
    weak_share: float = 0.0
    comparisons: tuple[Compared, ...] = ()
    agreed: int = 0
    differed: int = 0
    agreement: float | None = None
    """A lower bound; ``None`` without comparisons."""
    benefit: Benefit | None = None
    drift: str = ""
    """The labels beside the verification's promise; empty without a verification."""
    drift_noticed: float | None = None
    decision: Activation | None = None
    """The newest entry of the task's history."""
    waiting: tuple[str, ...] = ()


_USED_UP = "the labelled replies from before are used up: wrong replies without other signs are compared no longer"


def _used_up(comparison: Comparison) -> bool:
    """Decide whether the past has no labels left for those of the present."""
    return comparison.pairing.subject == "past" and comparison.challenger.labelled > 0 and not comparison.past.labels


def rollout_status(
    section: Task,
    serving: ActiveDecisions,
    comparisons: Sequence[Comparison],
    agreement: ModelAgreement,
    drift: DriftWatch | None,
    course: Assessment,
    newest: Activation | None,
    wrong: Sequence[str],
    now: float,
) -> RolloutStatus:
    """Return the note of a look at ``now``."""
    alpha = section.rollout.alpha
    compared = agreement.agreed + agreement.differed
    bound = agreement.bound(alpha) if compared else None
    held = next((comparison for comparison in comparisons if comparison.pairing.subject == "holdback"), None)
    benefit = benefit_of(held.challenger, held.incumbent) if held is not None else None
    wrong = (*wrong, *(f"harm: {harm.why}" for harm in course.harm))
    if drift is not None and drift.noticed_at is not None:
        wrong = (*wrong, f"drift: {drift.why}")
    lines = [f"serves {section.serve}: {_in_words(serving, section)}"]
    lines += [
        _line(comparison) for comparison in comparisons if comparison.challenger.seen or comparison.challenger.labelled
    ]
    lines += [_USED_UP for comparison in comparisons if _used_up(comparison)]
    if bound is not None:
        lines.append(
            f"agreement with the strong model: {agreement.agreed} of {compared}, at least {bound:.1%} for certain"
        )
    if benefit is not None:
        low, high = benefit.interval
        lines.append(
            f"what rules change: {100 * benefit.change:+.1f} points of good {benefit.of}"
            f" (95%: {100 * low:+.1f} to {100 * high:+.1f})"
        )
    lines += [*course.waiting, *wrong]
    return RolloutStatus(
        looked=now,
        live=serving.live.version if serving.live else None,
        canary=serving.canary.version if serving.canary else None,
        canary_share=serving.canary.share if serving.canary else 0.0,
        weak_share=weak_share(section, serving),
        comparisons=tuple(map(_compared, comparisons, course.guardrails)),
        agreed=agreement.agreed,
        differed=agreement.differed,
        agreement=bound,
        benefit=benefit,
        drift=drift.why if drift is not None and drift.drift.n else "",
        drift_noticed=drift.noticed_at if drift is not None else None,
        decision=newest,
        waiting=course.waiting,
        wrong=tuple(wrong),
        lines=tuple(lines),
    )


def benefit_of(taught: ArmCounts, held: ArmCounts) -> Benefit | None:
    """Compare the live rules with none; ``None`` with fewer than ten exchanges of either arm."""
    if min(taught.labelled, held.labelled) >= 10:
        return _benefit(taught.wrong, taught.labelled, held.wrong, held.labelled, "labelled replies")
    if min(taught.seen, held.seen) >= 10:
        return _benefit(taught.bad, taught.seen, held.bad, held.seen, "replies")
    return None


def _benefit(bad: int, n: int, bad_held: int, n_held: int, of: str) -> Benefit:
    # One success and one failure more for each arm: that is the whole of their correction.
    p, q = (bad + 1) / (n + 2), (bad_held + 1) / (n_held + 2)
    middle, spread = q - p, 1.96 * math.sqrt(p * (1 - p) / (n + 2) + q * (1 - q) / (n_held + 2))
    interval = (max(middle - spread, -1.0), min(middle + spread, 1.0))
    return Benefit(change=bad_held / n_held - bad / n, interval=interval, of=of)


def _compared(comparison: Comparison, rails: Sequence[Guardrail]) -> Compared:
    return Compared(
        subject=comparison.pairing.subject,
        version=comparison.pairing.version,
        since=comparison.began,
        challenger=comparison.challenger,
        incumbent=comparison.incumbent,
        guardrails=tuple(
            Rail(name=rail.name, e_value=rail.evidence.e_value, limit=rail.evidence.threshold, why=rail.why)
            for rail in rails
        ),
    )


def _in_words(serving: ActiveDecisions, section: Task) -> str:
    parts = [describe(serving.live) if serving.live else "no rules are live"]
    if serving.canary is not None:
        parts.append(describe(serving.canary))
    if section.serve == "canary":
        parts.append(f"the weak model gets {weak_share(section, serving):.0%}")
    return ", ".join(parts)


def _line(comparison: Comparison) -> str:
    c, i = comparison.challenger, comparison.incumbent
    labels = f", labelled wrong {c.wrong} of {c.labelled} against {i.wrong} of {i.labelled}" if c.labelled else ""
    of = "the weak model" if comparison.pairing.subject == "strong" else version_name(comparison.pairing.version)
    return f"{of}, {comparison.pairing.name}: bad {c.bad} of {c.seen} against {i.bad} of {i.seen}{labels}"
