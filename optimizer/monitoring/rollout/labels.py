"""What labels say of the weak model with its live rules: how often it agrees with the strong one, and if it drifts.

Each label counts once, in the order in which it became known. A second opinion on the same exchange changes nothing
here: contradictions are the learner's business.
"""

from collections.abc import Sequence

import msgspec

from gateway.domain import Evidence, Value
from gateway.store.base import Observed
from optimizer.monitoring.rollout.arms import TRUSTED
from optimizer.statistics.drift import DriftDetector
from optimizer.statistics.e_process import lower_bound, upper_bound

DRIFT_ALPHA = 1e-4
"""Without drift an alarm comes once in 10,000 labels on average, or later."""
_MARGIN = 0.05
"""Chance that the error rate which the verification measured lies above what is taken as the baseline."""
_HIGHEST = 0.99


class ModelAgreement(Value, frozen=True):
    """How often the weak model's answer was found equal to the strong one's."""

    of: str = ""
    """Which rules, since when; others begin anew."""
    agreed: int = 0
    differed: int = 0
    taken: frozenset[str] = frozenset()

    def bound(self, alpha: float) -> float:
        """A share below the true one at every look, but for a chance of ``alpha``."""
        return lower_bound(self.agreed, self.differed, alpha)

    def after(self, rows: Sequence[Observed], *, weak: str, version: int | None, began: float) -> "ModelAgreement":
        """The state after one more look at the newest rows."""
        of = f"{version} {began}"
        state = self if self.of == of else ModelAgreement(of=of)
        said = [one for one in rows if one.source == "shadow" and _taught(one, weak, version, began)]
        fresh = [one.correct for one in said if one.id not in state.taken]
        return msgspec.structs.replace(
            state,
            agreed=state.agreed + sum(correct is True for correct in fresh),
            differed=state.differed + sum(correct is False for correct in fresh),
            taken=frozenset(one.id for one in said),
        )


class DriftWatch(Value, frozen=True):
    """A drift detector over the labels of one live version."""

    of: str
    """Which version, since when; another one begins anew."""
    version: int
    drift: DriftDetector
    wrong: int = 0
    noticed_at: float | None = None
    """Seconds since the epoch."""
    taken: frozenset[str] = frozenset()

    def after(self, rows: Sequence[Observed], *, weak: str, began: float, now: float) -> "DriftWatch":
        """The state after one more look at the newest rows."""
        said = [one for one in rows if one.source in TRUSTED and _taught(one, weak, self.version, began)]
        drift, wrong = self.drift, self.wrong
        for one in said:
            if one.id not in self.taken and not drift.noticed:
                drift, wrong = drift.after(not one.correct), wrong + (not one.correct)
        noticed = now if drift.noticed and self.noticed_at is None else self.noticed_at
        return msgspec.structs.replace(
            self, drift=drift, wrong=wrong, noticed_at=noticed, taken=frozenset(one.id for one in said)
        )

    @property
    def why(self) -> str:
        """The numbers in words."""
        n = self.drift.n
        found = f"{self.wrong} of {n} labelled replies were wrong ({self.wrong / n:.0%})" if n else "no labelled reply"
        return f"{found}, the verification promised at most {self.drift.baseline:.0%}"


def drift_watch(of: str, version: int, evidence: Evidence | None) -> DriftWatch | None:
    """A detector whose baseline is what the verification measured; ``None`` where nobody measured."""
    if evidence is None or evidence.after.n == 0:
        return None
    wrong = round((1 - evidence.after.accuracy) * evidence.after.n)
    baseline = min(upper_bound(wrong, evidence.after.n - wrong, _MARGIN), _HIGHEST)
    return DriftWatch(of=of, version=version, drift=DriftDetector(baseline=baseline, alpha=DRIFT_ALPHA))


def _taught(one: Observed, weak: str, version: int | None, began: float) -> bool:
    """Whether a labelled reply is the weak model's with its live rules, given to a caller or in the background."""
    return (
        one.model == weak
        and one.arm in ("weak", "shadow")
        and one.rules == version
        and one.created >= began
        and one.status != "abandoned"
        and one.correct is not None
    )
