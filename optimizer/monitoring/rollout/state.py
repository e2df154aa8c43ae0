"""The watch's state of a task from look to look, and its next state. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Activation, Value
from gateway.settings import Task
from gateway.store.history import ActiveDecisions, active_decisions
from gateway.store.notes import Note
from optimizer.monitoring.rollout.arms import Pairing, Subject, challenger_share, pairings, weak_share
from optimizer.monitoring.rollout.comparison import Comparison, Look, begun
from optimizer.monitoring.rollout.cost_limits import RuleSetLookup, cost_limits_for
from optimizer.monitoring.rollout.decide import Step
from optimizer.monitoring.rollout.labels import DriftWatch, ModelAgreement, drift_watch


class RolloutState(Value, frozen=True):
    """Every part continues while its subject stays, and ends with it."""

    comparisons: tuple[Comparison, ...] = ()
    steps: Mapping[Subject, Step] = {}
    agreement: ModelAgreement = ModelAgreement()
    drift: DriftWatch | None = None
    judged: int | None = None
    """The position among the task's judgements; see ``Store.judged``."""
    paired: int = 0
    """The number of the last pair of answers."""
    logged: tuple[str, ...] = ()
    """The faults in the log already."""

    def after(self, section: Task, history: Sequence[Activation], lookup: RuleSetLookup, look: Look) -> "RolloutState":
        """Return the state after another look."""
        serving = active_decisions(history)
        live = serving.live.version if serving.live is not None else None
        began = serving.live.created if serving.live is not None else 0.0
        comparisons: list[Comparison] = []
        steps: dict[Subject, Step] = {}
        drift = self._drift(look, live, began, lookup)
        for pairing in pairings(history, section):
            before = self._known(pairing)
            if before is None:
                limits = cost_limits_for(pairing, live, lookup, section.rollout.slowdown)
                before = begun(pairing, limits, look.rows, section.weak, _wrong_before(pairing, lookup))
            after = before.after(look, challenger_share(pairing, section, serving))
            comparisons.append(after)
            if pairing.subject != "past":
                steps[pairing.subject] = self._step(section, serving, before, after, look)
            if pairing.subject == "holdback" and drift is not None:
                drift = drift.after_complaints(before.challenger, after.challenger, look.now)
        return msgspec.structs.replace(
            self,
            comparisons=tuple(comparisons),
            steps=steps,
            agreement=self.agreement.after(look.judged, weak=section.weak, version=live, began=began),
            drift=drift,
            paired=max([self.paired, *(pair.number for pair in look.pairs)]),
        )

    def _known(self, pairing: Pairing) -> Comparison | None:
        return next((known for known in self.comparisons if known.pairing == pairing), None)

    def _step(self, section: Task, serving: ActiveDecisions, before: Comparison, after: Comparison, look: Look) -> Step:
        pairing = after.pairing
        entry = {"trial": serving.canary, "strong": serving.share}.get(pairing.subject)
        share = entry.share if entry is not None else weak_share(section, serving)
        began = entry.created if entry is not None else pairing.began
        of = f"{pairing.version} {began} {share}"
        step = self.steps.get(pairing.subject)
        if step is None or step.of != of:
            step = Step(of=of, began=began, looked=look.now)
        new = sum(
            exchange.arm == pairing.challenger and exchange.created >= step.began
            and (pairing.subject != "trial" or exchange.rules == pairing.version)
            for exchange in after.newly_counted(look.rows, before)
        )  # fmt: skip
        return step.after(new, section.rollout, look.now)

    def _drift(self, look: Look, live: int | None, began: float, lookup: RuleSetLookup) -> DriftWatch | None:
        if live is None:
            return None
        of, drift = f"{live} {began}", self.drift
        if drift is None or drift.of != of:
            rules = lookup(live)
            drift = drift_watch(of, live, rules.evidence if rules is not None else None)
        return drift.after(look.judged, weak=look.weak, began=began, now=look.now) if drift is not None else None


def _wrong_before(pairing: Pairing, lookup: RuleSetLookup) -> float | None:
    rules = lookup(pairing.version) if pairing.version is not None else None
    evidence = rules.evidence if rules is not None else None
    return 1 - evidence.before.accuracy if evidence is not None and evidence.before.n else None


STATE = Note("watch", RolloutState)
"""Without it, or with another version's, the comparisons begin again."""
