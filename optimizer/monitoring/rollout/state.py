"""The watch's state of a task from look to look, and its next state. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Activation, Value
from gateway.settings import Task
from gateway.store.base import Observed
from gateway.store.history import ActiveDecisions, active_decisions
from gateway.store.notes import Note
from optimizer.monitoring.rollout.arms import Subject, pairings
from optimizer.monitoring.rollout.comparison import Comparison, begun
from optimizer.monitoring.rollout.cost_limits import RuleSetLookup, cost_limits_for
from optimizer.monitoring.rollout.decide import Step, weak_share
from optimizer.monitoring.rollout.labels import DriftWatch, ModelAgreement, drift_watch


class RolloutState(Value, frozen=True):
    """Every part continues while its subject stays, and ends with it."""

    comparisons: tuple[Comparison, ...] = ()
    steps: Mapping[Subject, Step] = {}
    agreement: ModelAgreement = ModelAgreement()
    drift: DriftWatch | None = None
    logged: tuple[str, ...] = ()
    """The faults in the log already."""

    def after(
        self, section: Task, history: Sequence[Activation], lookup: RuleSetLookup, rows: Sequence[Observed], *,
        full: bool, now: float,
    ) -> "RolloutState":  # fmt: skip
        """Return the state after another look at the newest rows, oldest first; ``full`` if some were left out."""
        serving = active_decisions(history)
        live = serving.live.version if serving.live is not None else None
        comparisons: list[Comparison] = []
        steps: dict[Subject, Step] = {}
        for pairing in pairings(history, section):
            before = next((known for known in self.comparisons if known.pairing == pairing), None)
            if before is None:
                limits = cost_limits_for(pairing, live, lookup, section.rollout.slowdown)
                before = begun(pairing, limits, rows, section.weak)
            comparison = before.after(rows, weak=section.weak, now=now, full=full)
            comparisons.append(comparison)
            if pairing.subject in ("trial", "strong"):
                steps[pairing.subject] = self._step(section, serving, before, comparison, rows, now)
        began = serving.live.created if serving.live is not None else 0.0
        return msgspec.structs.replace(
            self,
            comparisons=tuple(comparisons),
            steps=steps,
            agreement=self.agreement.after(rows, weak=section.weak, version=live, began=began),
            drift=self._drift(section, live, began, lookup, rows, now),
        )

    def _step(
        self, section: Task, serving: ActiveDecisions, before: Comparison, after: Comparison, rows: Sequence[Observed],
        now: float,
    ) -> Step:  # fmt: skip
        pairing, entry = after.pairing, serving.canary if after.pairing.subject == "trial" else serving.share
        share = entry.share if entry is not None else weak_share(section, serving)
        began = entry.created if entry is not None else pairing.began
        of = f"{pairing.version} {began} {share}"
        step = self.steps.get(pairing.subject)
        if step is None or step.of != of:
            step = Step(of=of, began=began, looked=now)
        new = sum(
            after.counted(exchange.id) and not before.counted(exchange.id)
            for exchange in rows
            if exchange.arm == pairing.challenger and exchange.created >= step.began
            and (pairing.subject != "trial" or exchange.rules == pairing.version)
        )  # fmt: skip
        return step.after(new, section.rollout, now)

    def _drift(
        self, section: Task, live: int | None, began: float, lookup: RuleSetLookup, rows: Sequence[Observed], now: float
    ) -> DriftWatch | None:
        if live is None:
            return None
        of = f"{live} {began}"
        drift = self.drift
        if drift is None or drift.of != of:
            rules = lookup(live)
            drift = drift_watch(of, live, rules.evidence if rules is not None else None)
        return drift.after(rows, weak=section.weak, began=began, now=now) if drift is not None else None


STATE = Note("watch", RolloutState)
"""Without it, or with another version's, the comparisons begin again."""
