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
from optimizer.monitoring.rollout.arms import Subject
from optimizer.monitoring.rollout.comparison import Comparison, Guardrail
from optimizer.monitoring.rollout.labels import ModelAgreement

BY = "watch"

GUARDRAILS: Mapping[Subject, int] = {"trial": 11, "holdback": 11, "past": 11, "strong": 4}
"""The number of guardrails that share alpha. A version has four while on trial, then four against the hold-back and
three against the past: alpha is for its whole life. The weak model has four against the strong one."""
DOUBT = 4.0
"""E-value that stops a share from growing: a quarter of harmless arms ever get there, and come back."""


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

    def after(self, new: int, rollout: Rollout, now: float) -> "Step":
        """Return the step after a look with ``new`` exchanges.

        The time since the last look counts, between nothing and a quarter of the step's duration: a leaping clock, or a
        process that was down, has watched nothing.
        """
        passed = min(max(now - self.looked, 0.0), rollout.step_minutes * 60 / 4)
        return msgspec.structs.replace(
            self,
            began=min(self.began, now),
            looked=now,
            exchanges=self.exchanges + new,
            watched_s=self.watched_s + passed,
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
    guardrails = [
        comparison.guardrails(rollout.alpha / GUARDRAILS[comparison.pairing.subject]) for comparison in comparisons
    ]
    for comparison, rails in zip(comparisons, guardrails, strict=True):
        subject, version = comparison.pairing.subject, comparison.pairing.version
        harm += [
            Harm(subject=subject, version=version, why=_why(rail, comparison))
            for rail in rails
            if rail.evidence.reached
        ]
        if any(rail.evidence.e_value >= DOUBT for rail in rails):
            doubts.add(subject)
    serving = active_decisions(history)
    assessment = Assessment(harm=tuple(harm), guardrails=tuple(tuple(rails) for rails in guardrails))
    if rollout.rollback:
        for worst in sorted(harm, key=lambda entry: ("trial", "strong", "past", "holdback").index(entry.subject)):
            decision = _ended(task, serving, history, worst, now)
            if decision is not None:
                return msgspec.structs.replace(assessment, decision=decision)
    waiting = []
    for grown in (
        _trial(task, section, serving, steps.get("trial"), "trial" in doubts, now),
        _share(task, section, history, serving, steps.get("strong"), "strong" in doubts, agreement, now),
    ):
        if isinstance(grown, Activation):
            return msgspec.structs.replace(assessment, decision=grown)
        waiting += [grown] if grown else []
    return msgspec.structs.replace(assessment, waiting=tuple(waiting))


def weak_share(section: Task, serving: ActiveDecisions) -> float:
    """Return the weak model's share of the conversations."""
    if section.serve == "canary":
        return serving.share.share if serving.share is not None else section.rollout.steps[0]
    return 1.0 if section.serve == "weak" else 0.0


def _why(rail: Guardrail, comparison: Comparison) -> str:
    numbers = f"e-value {rail.evidence.e_value:.4g}, limit {rail.evidence.threshold:.4g}"
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
    task: str, section: Task, serving: ActiveDecisions, step: Step | None, doubted: bool, now: float
) -> Activation | str | None:
    """Return the next step of a trial, or its condition."""
    trial, rollout = serving.canary, section.rollout
    if trial is None:
        return None
    name = f"the trial of {version_name(trial.version)}"
    if rollout.policy != "canary":
        return f"{name} waits for a person: the policy is {rollout.policy!r}"
    if weak_share(section, serving) == 0:
        why = "no conversation reaches the weak model, so a trial shows nothing: its verification decides"
        return Activation(task=task, version=trial.version, created=now, by=BY, why=why)
    awaited = _awaited(rollout, step, doubted)
    if awaited or step is None:
        return f"{name} waits for {awaited}"
    share = next((share for share in rollout.steps if share > trial.share), 1.0)
    why = f"no harm in {step.exchanges} exchanges and {step.watched_s / 60:.0f} minutes with {trial.share:.0%}"
    return Activation(
        task=task, version=trial.version, created=now, by=BY, why=why,
        kind="canary" if share < 1 else "live", share=share,
    )  # fmt: skip


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
