"""The state of a task's roll-out for people: ``preceptor tasks show`` and the admin API. Decides nothing."""

from collections.abc import Sequence

from gateway.domain import Activation, Value
from gateway.rules.decisions import describe, version_name
from gateway.settings import Task
from gateway.store.history import ActiveDecisions
from gateway.store.notes import Note, RolloutView
from optimizer.monitoring.rollout.arms import Subject, weak_share
from optimizer.monitoring.rollout.comparison import ArmCounts, Comparison, PairCounts
from optimizer.monitoring.rollout.decide import Assessment
from optimizer.monitoring.rollout.guardrails import Guardrail
from optimizer.monitoring.rollout.power import power_of
from optimizer.monitoring.rollout.promises import BY_MODEL, BY_SIGNS, LedgerEntry
from optimizer.monitoring.rollout.promises import describe as describe_entry
from optimizer.monitoring.rollout.state import RolloutState


class Benefit(Value, frozen=True):
    """The effect of the live rules, measured against conversations without rules."""

    change: float
    """Share of right replies with the rules less that without them, -1..1."""
    interval: tuple[float, float]
    """95% interval of the change; for every look once harm was seen."""
    of: str
    """``pairs of answers`` or ``labelled conversations``; ``conversations, by signs of failure`` without labels.

    ``labelled by the other model`` follows if most labels are its answers: then *right* is agreement with it.
    """
    units: int = 0
    """Conversations, each counted once."""
    against: int | None = None
    """The version without which; ``None`` for no rules."""


class Compared(Value, frozen=True):
    """A comparison in numbers."""

    subject: Subject
    version: int | None
    since: float
    challenger: ArmCounts
    incumbent: ArmCounts
    guardrails: tuple[Guardrail, ...]
    pairs: PairCounts = PairCounts()
    power: str = ""
    """The harm that would have been seen by now, in words."""


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


STATUS = Note("live", RolloutStatus)
"""``gateway.store.notes.ROLLOUT`` in full."""


def rollout_status(
    section: Task,
    serving: ActiveDecisions,
    state: RolloutState,
    assessment: Assessment,
    ledger: Sequence[LedgerEntry],
    newest: Activation | None,
    wrong: Sequence[str],
    now: float,
) -> RolloutStatus:
    """Return the note of a look at ``now``."""
    agreement, drift, comparisons = state.agreement, state.drift, state.comparisons
    compared = agreement.agreed + agreement.differed
    bound = agreement.bound(section.rollout.alpha) if compared else None
    benefit = next(
        (benefit_of(comparison) for comparison in comparisons if comparison.pairing.subject == "holdback"), None
    )
    wrong = (*wrong, *(f"harm: {harm.why}" for harm in assessment.harm))
    wrong = (*wrong, *(f"refused: {why}" for why in _refused(comparisons, assessment)))
    if drift is not None and drift.noticed_at is not None:
        wrong = (*wrong, f"drift: {drift.why}")
    lines = [f"serves {section.serve}: {_in_words(serving, section)}"]
    lines += [_line(comparison) for comparison in comparisons if comparison.challenger.seen]
    if bound is not None:
        lines.append(
            f"agreement with the strong model: {agreement.agreed} of {compared}, at least {bound:.1%} for certain"
        )
    lines += [_in_points(benefit)] if benefit is not None else []
    lines += [str(assessment.power)] if assessment.power is not None else []
    lines += [describe_entry(entry) for entry in ledger[-1:]]
    lines += [*_chosen(comparisons), *assessment.waiting, *wrong]
    powers = {
        comparison.pairing.subject: power_of(comparison, section.rollout.harm, now - comparison.began)
        for comparison in comparisons
    }
    return RolloutStatus(
        looked=now,
        live=serving.live.version if serving.live else None,
        canary=serving.canary.version if serving.canary else None,
        canary_share=serving.canary.share if serving.canary else 0.0,
        weak_share=weak_share(section, serving),
        comparisons=tuple(
            _compared(comparison, rails, str(powers[comparison.pairing.subject]))
            for comparison, rails in zip(comparisons, assessment.guardrails, strict=True)
        ),
        agreed=agreement.agreed,
        differed=agreement.differed,
        agreement=bound,
        benefit=benefit,
        drift=drift.why if drift is not None else "",
        drift_noticed=drift.noticed_at if drift is not None else None,
        decision=newest,
        waiting=assessment.waiting,
        wrong=tuple(wrong),
        lines=tuple(lines),
    )


def benefit_of(comparison: Comparison) -> Benefit | None:
    """Return the effect of the challenger's rules by the best evidence; ``None`` with fewer than ten conversations.

    Pairs of answers come first, then labels on both arms, then signs of failure. Complaints measure no rate.
    """
    pairs, arms = comparison.paired, (comparison.challenger, comparison.incumbent)
    labelled, by_model = sum(arm.labelled for arm in arms), sum(arm.by_model for arm in arms)
    pairs_of = "pairs of answers" + BY_MODEL * (2 * pairs.by_model > pairs.n)
    labels_of = "labelled conversations" + BY_MODEL * (2 * by_model > labelled)
    streams = [
        (pairs_of, comparison.pairs, pairs.n, comparison.pair_base),
        (labels_of, comparison.labels, comparison.incumbent.labelled, comparison.pairing.against),
        (BY_SIGNS, comparison.bad, comparison.incumbent.seen, comparison.pairing.against),
    ]
    for of, stream, others, against in streams:
        measured = stream.change()
        if measured is not None and others >= 10:
            worse, (low, high) = measured
            change, interval = max(-1.0, min(-worse, 1.0)), (-high, -low)
            return Benefit(change=change, interval=interval, of=of, units=stream.n, against=against)
    return None


def _refused(comparisons: Sequence[Comparison], assessment: Assessment) -> list[str]:
    """Return the evidence that decides nothing, with its reason."""
    return [
        f"{rail.name} {comparison.pairing.name}: {rail.why}: {rail.refused}"
        for comparison, rails in zip(comparisons, assessment.guardrails, strict=True)
        for rail in rails
        if rail.refused
    ]


def _chosen(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a line about labels that clients chose to give, where there are no others."""
    for comparison in comparisons:
        counts = comparison.challenger, comparison.incumbent
        if (
            any(arm.complaints for arm in counts)
            and not any(arm.labelled for arm in counts)
            and not comparison.paired.n
        ):
            return [
                "labels came for wrong replies only: they can show harm, and no gain; label some of the audit sample"
            ]
    return []


def _compared(comparison: Comparison, rails: Sequence[Guardrail], power: str) -> Compared:
    return Compared(
        subject=comparison.pairing.subject,
        version=comparison.pairing.version,
        since=comparison.began,
        challenger=comparison.challenger,
        incumbent=comparison.incumbent,
        guardrails=tuple(rails),
        pairs=comparison.paired,
        power=power,
    )


def _in_words(serving: ActiveDecisions, section: Task) -> str:
    parts = [describe(serving.live) if serving.live else "no rules are live"]
    parts += [describe(entry) for entry in (serving.canary, serving.holdback) if entry is not None]
    if section.serve == "canary":
        parts.append(f"the weak model gets {weak_share(section, serving):.0%}")
    return ", ".join(parts)


def _in_points(benefit: Benefit) -> str:
    low, high = benefit.interval
    against = "" if benefit.against is None else f", against {version_name(benefit.against)}"
    what = "replies without a sign of failure" if benefit.of == BY_SIGNS else "right replies"
    what = "agreement with the other model" if benefit.of.endswith(BY_MODEL) else what
    return (
        f"what rules change: {100 * benefit.change:+.1f} points of {what}"
        f" (95%: {100 * low:+.1f} to {100 * high:+.1f}), in {benefit.units} {benefit.of}{against}"
    )


def _line(comparison: Comparison) -> str:
    c, i = comparison.challenger, comparison.incumbent
    labels = f", labelled wrong {c.wrong} of {c.labelled} against {i.wrong} of {i.labelled}" if c.labelled else ""
    complaints = f", complaints {c.complaints} against {i.complaints}" if c.complaints or i.complaints else ""
    pairs = comparison.paired
    anew = f", answered anew {pairs.n}: wrong alone {pairs.against} against {pairs.for_}" if pairs.n else ""
    of = "the weak model" if comparison.pairing.subject == "strong" else version_name(comparison.pairing.version)
    signs = f"bad {c.bad} of {c.seen} against {i.bad} of {i.seen}"
    return f"{of}, {comparison.pairing.name}: {signs}{labels}{complaints}{anew}"
