"""The decision of a review: a larger share, none, a roll-back, or nothing yet. Pure.

Harm comes first and ends the harmful version, under every policy. A share grows by one step at a time, only under the
policy ``canary``, and not under suspicion of harm. A decision is one entry of the history and takes effect at once.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Activation, Value
from gateway.rules.decisions import version_name
from gateway.settings import Rollout, Task
from gateway.store.history import ActiveDecisions, active_decisions, previous
from optimizer.monitoring.rollout.arms import Subject, weak_share
from optimizer.monitoring.rollout.comparison import Comparison
from optimizer.monitoring.rollout.guardrails import Guardrail, guardrails_of
from optimizer.monitoring.rollout.labels import ModelAgreement
from optimizer.monitoring.rollout.power import DAY_S, Power, power_of

BY = "watch"
UNLABELLED_DAYS = 1.0
"""Days that the last step of a trial lasts at least if nobody labels a reply: labels may come late."""
PAUSE_S = 3600.0
"""Seconds between two looks beyond which the watch paused."""


class Step(Value, frozen=True):
    """The duration of a share, in looks: a clock may jump."""

    of: str
    """Version, beginning and share; another share begins anew."""
    began: float
    """Seconds since the epoch. Exchanges from then on count."""
    looked: float
    """Seconds since the epoch of the newest look."""
    exchanges: int = 0
    watched_s: float = 0.0
    """Seconds that count for the shortest duration of a step."""
    lasted_s: float = 0.0
    """Seconds that count for days: all but pauses of the watch."""

    def after(self, new: int, rollout: Rollout, now: float) -> "Step":
        """Return the step after a look with ``new`` exchanges.

        The time since the last look counts, between nothing and a quarter of the step's duration: a leaping clock, or a
        process that was down, has watched nothing. Towards days an hour counts at most.
        """
        passed = max(now - self.looked, 0.0)
        return msgspec.structs.replace(
            self,
            began=min(self.began, now),
            looked=now,
            exchanges=self.exchanges + new,
            watched_s=self.watched_s + min(passed, rollout.step_minutes * 60 / 4),
            lasted_s=self.lasted_s + min(passed, PAUSE_S),
        )


class Harm(Value, frozen=True):
    """A broken guardrail."""

    subject: Subject
    version: int | None
    why: str


class Assessment(Value, frozen=True):
    """The result of a review: a decision, and the conditions still awaited."""

    decision: Activation | None = None
    harm: tuple[Harm, ...] = ()
    waiting: tuple[str, ...] = ()
    guardrails: tuple[tuple[Guardrail, ...], ...] = ()
    """Of each comparison."""
    power: Power | None = None
    """Of the trial under way, or else of the hold-back."""


def decide(
    task: str,
    section: Task,
    history: Sequence[Activation],
    comparisons: Sequence[Comparison],
    steps: Mapping[Subject, Step],
    agreement: ModelAgreement,
    now: float,
) -> Assessment:
    """Return the assessment, with at most one decision: harm first, then the trial, then the weak model's share."""
    rollout, doubts, harm = section.rollout, set[Subject](), list[Harm]()
    guardrails = [guardrails_of(comparison, rollout.alpha) for comparison in comparisons]
    for comparison, rails in zip(comparisons, guardrails, strict=True):
        subject, version = comparison.pairing.subject, comparison.pairing.version
        harm += [Harm(subject=subject, version=version, why=_why(rail, comparison)) for rail in rails if rail.reached]
        if any(rail.doubtful for rail in rails):
            doubts.add(subject)
    serving = active_decisions(history)
    powers = {
        comparison.pairing.subject: power_of(comparison, rollout.harm, max(now - comparison.began, 0.0))
        for comparison in comparisons
    }
    power = powers.get("trial") or powers.get("holdback")
    assessment = Assessment(harm=tuple(harm), guardrails=tuple(tuple(rails) for rails in guardrails), power=power)
    if rollout.rollback:
        for worst in sorted(harm, key=lambda entry: ("trial", "strong", "past", "holdback").index(entry.subject)):
            decision = _ended(task, serving, history, worst, now)
            if decision is not None:
                return msgspec.structs.replace(assessment, decision=decision)
    waiting = []
    for grown in (
        _trial(task, section, serving, steps.get("trial"), power, "trial" in doubts, now),
        _share(task, section, history, serving, steps.get("strong"), "strong" in doubts, agreement, now),
        _holdback(task, section, history, steps.get("holdback"), now),
    ):
        if isinstance(grown, Activation):
            return msgspec.structs.replace(assessment, decision=grown)
        waiting += [grown] if grown else []
    return msgspec.structs.replace(assessment, waiting=tuple(waiting))


def _why(rail: Guardrail, comparison: Comparison) -> str:
    numbers = f"e-value {rail.e_value:.4g}, limit {rail.limit:.4g}"
    return f"{rail.name} {comparison.pairing.name}: {rail.why} ({numbers})"


def _ended(
    task: str, serving: ActiveDecisions, history: Sequence[Activation], harm: Harm, now: float
) -> Activation | None:
    """Return the decision that ends a harm; ``None`` if it has ended already."""
    if harm.subject == "trial":
        if serving.canary is None or serving.canary.version != harm.version:
            return None
        return Activation(
            task=task, version=harm.version, created=now, by=BY, why=harm.why, kind="canary", share=0.0
        )  # fmt: skip
    if harm.subject == "strong":
        if serving.share is not None and serving.share.share == 0:
            return None
        return Activation(task=task, version=None, created=now, by=BY, why=harm.why, kind="share", share=0.0)
    if serving.live is None or serving.live.version is None or serving.live.version != harm.version:
        return None
    return Activation(task=task, version=previous(history), created=now, by=BY, why=harm.why)


def _trial(
    task: str,
    section: Task,
    serving: ActiveDecisions,
    step: Step | None,
    power: Power | None,
    doubted: bool,
    now: float,
) -> Activation | str | None:
    """Return the next step of a trial, or its condition."""
    trial, rollout = serving.canary, section.rollout
    if trial is None:
        return None
    name = f"the trial of {version_name(trial.version)}"
    if rollout.policy != "canary":
        return f"{name} waits for a person: the policy is {rollout.policy!r}"
    if serving.hold is not None:
        return f"{name} is held at {trial.share:.0%} by {serving.hold.by}"
    if weak_share(section, serving) == 0:
        why = "no conversation reaches the weak model, so a trial shows nothing: its verification decides"
        return Activation(task=task, version=trial.version, created=now, by=BY, why=why)
    awaited = _awaited(rollout, step, doubted)
    share = next((share for share in rollout.steps if share > trial.share), 1.0)
    if not awaited and share >= 1:
        awaited = _unseen(rollout, step, power)
    if awaited or step is None:
        return f"{name} waits for {awaited}"
    why = f"no harm in {step.exchanges} exchanges and {step.watched_s / 60:.0f} minutes with {trial.share:.0%}"
    if share >= 1 and power is not None and rollout.harm < 1:
        why = f"no harm in {step.exchanges} exchanges with {trial.share:.0%}: {power.seen}"
    return Activation(
        task=task, version=trial.version, created=now, by=BY, why=why,
        kind="canary" if share < 1 else "live", share=share,
    )  # fmt: skip


def _unseen(rollout: Rollout, step: Step | None, power: Power | None) -> str:
    """Return what a trial still waits to see before it may go live; empty if nothing."""
    passed = (step.lasted_s if step is not None else 0.0) / DAY_S
    left = rollout.trial_days - passed
    if power is None or rollout.harm >= 1 or left <= 0:
        return ""
    if power.enough and not power.labelled and passed < UNLABELLED_DAYS:
        return f"labels, or {24 * (UNLABELLED_DAYS - passed):.0f} more hours: {power}"
    return "" if power.enough else f"evidence, or {left:.1f} more days: {power}"


def _holdback(
    task: str, section: Task, history: Sequence[Activation], step: Step | None, now: float
) -> Activation | None:
    """Return the decision to hold back more conversations from a new live version, or as many as configured again."""
    rollout, serving = section.rollout, active_decisions(history)
    live, configured = serving.live, section.rollout.holdback
    if live is None or live.version is None or live.by != BY or weak_share(section, serving) == 0:
        return None  # a person's activation is left as it is
    if not 0 < configured < rollout.holdback_first:
        return None
    at = max(place for place, entry in enumerate(history) if entry.kind == "live")
    decided = [entry for entry in history[at:] if entry.kind == "holdback"]
    if not decided:
        share = rollout.holdback_first
        why = f"to measure {version_name(live.version)} for {rollout.holdback_days:g} days"
    elif decided[-1].share > 0 and step is not None and step.lasted_s >= rollout.holdback_days * DAY_S:
        share, why = 0.0, f"{version_name(live.version)} was measured for {rollout.holdback_days:g} days"
    else:
        return None
    return Activation(task=task, version=None, created=now, by=BY, why=why, kind="holdback", share=share)


def _share(
    task: str,
    section: Task,
    history: Sequence[Activation],
    serving: ActiveDecisions,
    step: Step | None,
    doubted: bool,
    agreement: ModelAgreement,
    now: float,
) -> Activation | str | None:
    """Return the weak model's next share where both models serve, or its condition."""
    rollout, share = section.rollout, weak_share(section, serving)
    if section.serve != "canary" or share >= 1:
        return None
    if rollout.policy != "canary":
        return f"the weak model's share waits for a person: the policy is {rollout.policy!r}"
    if share == 0:
        if not _new_rules(history):
            return "the weak model's share waits for a person or a new rule set"
        why = (
            f"{version_name(serving.live.version if serving.live else None)} has not been tried on these conversations"
        )
        return _given(task, rollout.steps[0], why, now)
    awaited = _awaited(rollout, step, doubted)
    bound = agreement.bound(rollout.alpha)
    if not awaited and bound < rollout.agreement:
        awaited = f"agreement: {bound:.1%} is certain, {rollout.agreement:.1%} is required"
    if awaited or step is None:
        return f"the weak model's share waits for {awaited}"
    why = f"no harm in {step.exchanges} exchanges with {share:.0%}, agreement at least {bound:.1%}"
    return _given(task, next((larger for larger in rollout.steps if larger > share), 1.0), why, now)


def _given(task: str, share: float, why: str, now: float) -> Activation:
    return Activation(task=task, version=None, created=now, by=BY, why=why, kind="share", share=share)


def _awaited(rollout: Rollout, step: Step | None, doubted: bool) -> str:
    """Return the conditions that a step still awaits; empty if none."""
    if doubted:
        return "a doubt to pass: something leans towards harm"
    seen, passed = (step.exchanges, step.watched_s) if step is not None else (0, 0.0)
    if seen < rollout.step_exchanges:
        return f"{rollout.step_exchanges - seen} more exchanges"
    left = rollout.step_minutes * 60 - passed
    return f"{max(left / 60, 0.1):.1f} more minutes" if left > 0 else ""


def _new_rules(history: Sequence[Activation]) -> bool:
    """Decide whether a version went live for the first time since the watch took the share away."""
    taken = max((at for at, entry in enumerate(history) if entry.kind == "share"), default=None)
    if taken is None or history[taken].by != BY:
        return False
    lives = [(at, entry.version) for at, entry in enumerate(history) if entry.kind == "live"]
    known = {version for at, version in lives if at < taken} | {None}
    return any(version not in known for at, version in lives if at > taken)
