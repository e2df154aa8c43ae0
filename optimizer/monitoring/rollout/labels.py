"""Labels of the weak model with its live rules: agreement with the strong model, and drift. Pure.

The unit is the conversation: its replies succeed or fail together. Labels that were asked for whatever the outcome was
measure a rate; complaints count against all audited replies, labelled or not, and so show a part of it at least.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Evidence, Value
from gateway.store.base import Judged, Observed
from optimizer.monitoring.rollout.arms import measures
from optimizer.monitoring.rollout.comparison import ArmCounts, unit_of
from optimizer.monitoring.rollout.evidence import OPEN, QUIET_S
from optimizer.statistics.drift import DriftDetector
from optimizer.statistics.e_process import lower_bound, upper_bound

DRIFT_ALPHA = 1e-4
"""Without drift either detector alarms at most once in 10,000 conversations on average."""
_MARGIN = 0.05
"""Probability of an error rate, at the verification, above the baseline taken from it."""
_HIGHEST = 0.99


class ModelAgreement(Value, frozen=True):
    """The number of conversations in which weak and strong model gave equal answers, at the first comparison."""

    of: str = ""
    """The version and its time; another version begins anew."""
    agreed: int = 0
    differed: int = 0
    recent: tuple[str, ...] = ()
    """The newest conversations that were counted."""

    def bound(self, alpha: float) -> float:
        """Return a share below the true one at every look, except with probability ``alpha``."""
        return lower_bound(self.agreed, self.differed, alpha)

    def after(self, judged: Sequence[Judged], *, weak: str, version: int | None, began: float) -> "ModelAgreement":
        """Return the state after new judgements."""
        of = f"{version} {began}"
        state = self if self.of == of else ModelAgreement(of=of)
        agreed, differed, recent = state.agreed, state.differed, list(state.recent)
        for entry in judged:
            unit = unit_of(entry.exchange)
            if (
                entry.feedback.source == "shadow"
                and taught(entry.exchange, weak, version, began)
                and unit not in recent
            ):
                agreed, differed = agreed + entry.exchange.correct, differed + (not entry.exchange.correct)  # type: ignore[operator]
                recent.append(unit)
        return ModelAgreement(of=of, agreed=agreed, differed=differed, recent=tuple(recent[-OPEN:]))


class LabelledUnit(Value, frozen=True, array_like=True):
    """A conversation whose labels may not be complete."""

    n: int
    wrong: int
    last: float
    """Time of the last look with a label, in seconds since the epoch."""


class DriftWatch(Value, frozen=True):
    """Drift detectors over the labels and the complaints of one live version."""

    of: str
    """The version and its time; another version begins anew."""
    version: int
    labels: DriftDetector
    complaints: DriftDetector
    """Over audited replies: a complaint, or none."""
    labelled: int = 0
    wrong: int = 0
    complained: int = 0
    noticed_at: float | None = None
    """Seconds since the epoch."""
    open: Mapping[str, LabelledUnit] = {}

    @property
    def noticed(self) -> bool:
        return self.labels.noticed or self.complaints.noticed

    def after(self, judged: Sequence[Judged], *, weak: str, began: float, now: float) -> "DriftWatch":
        """Return the state after new judgements; a conversation counts once it has been quiet for a while."""
        open_, labelled, wrong = dict(self.open), self.labelled, self.wrong
        for entry in judged:
            if measures(entry.exchange, entry.feedback.source) and taught(entry.exchange, weak, self.version, began):
                mistaken, unit = not entry.exchange.correct, unit_of(entry.exchange)
                known = open_.get(unit) or LabelledUnit(n=0, wrong=0, last=now)
                open_[unit] = LabelledUnit(n=known.n + 1, wrong=known.wrong + mistaken, last=now)
                labelled, wrong = labelled + 1, wrong + mistaken
        quiet = [unit for unit, known in open_.items() if not 0 <= now - known.last < QUIET_S]
        if len(open_) - len(quiet) > OPEN:
            quiet = sorted(open_, key=lambda unit: open_[unit].last)[: len(open_) - OPEN]
        detector = self.labels
        for unit in quiet:
            known = open_.pop(unit)
            detector = detector.after(known.wrong / known.n)
        return self._noticed(now, labels=detector, labelled=labelled, wrong=wrong, open=open_)

    def after_complaints(self, before: ArmCounts, after: ArmCounts, now: float) -> "DriftWatch":
        """Return the state after new audited replies of the live version, by its counts before and after the look.

        Within a look complaints are spread evenly: their order is not known.
        """
        complained = max(after.complaints - before.complaints, 0)
        n, detector = max(after.audited - before.audited, complained), self.complaints
        for at in range(n):
            detector = detector.after((at + 1) * complained // n - at * complained // n)
        return self._noticed(now, complaints=detector, complained=self.complained + complained)

    def _noticed(self, now: float, **changes: object) -> "DriftWatch":
        state = msgspec.structs.replace(self, **changes)
        if state.noticed and state.noticed_at is None:
            state = msgspec.structs.replace(state, noticed_at=now)
        return state

    @property
    def why(self) -> str:
        """The numbers in words; empty without labels."""
        promise = f"the verification promised at most {self.labels.baseline:.0%}"
        if self.complaints.noticed and not self.labels.noticed:
            share = self.complained / self.complaints.n
            return (
                f"complaints came on {self.complained} of {self.complaints.n} audited replies ({share:.0%}), {promise}"
            )
        if not self.labelled:
            return ""
        share = self.wrong / self.labelled
        return f"{self.wrong} of {self.labelled} labelled replies were wrong ({share:.0%}), {promise}"


def drift_watch(of: str, version: int, evidence: Evidence | None) -> DriftWatch | None:
    """Return detectors with the verification's error rate as baseline; ``None`` without a verification."""
    if evidence is None or evidence.after.n == 0:
        return None
    wrong = round((1 - evidence.after.accuracy) * evidence.after.n)
    baseline = min(upper_bound(wrong, evidence.after.n - wrong, _MARGIN), _HIGHEST)
    detector = DriftDetector(baseline=baseline, alpha=DRIFT_ALPHA)
    return DriftWatch(of=of, version=version, labels=detector, complaints=detector)


def taught(exchange: Observed, weak: str, version: int | None, began: float) -> bool:
    """Decide whether a labelled reply is the weak model's with its live rules, to a caller or in the background."""
    return (
        exchange.model == weak
        and exchange.arm in ("weak", "shadow")
        and exchange.rules == version
        and exchange.created >= began
        and exchange.status != "abandoned"
    )
