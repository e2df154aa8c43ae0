"""Labels of the weak model with its live rules: agreement with the strong model, and drift.

Each label counts once, in the order of arrival. A second opinion on the same exchange changes nothing here:
contradictions are the learner's business.
"""

from collections.abc import Sequence

import msgspec

from gateway.domain import Evidence, Value
from gateway.store.base import Observed
from optimizer.monitoring.rollout.arms import TRUSTED
from optimizer.statistics.drift import DriftDetector
from optimizer.statistics.e_process import lower_bound, upper_bound

DRIFT_ALPHA = 1e-4
"""Without drift an alarm comes at most once in 10,000 labels on average."""
_MARGIN = 0.05
"""Probability of an error rate, at the verification, above the baseline taken from it."""
_HIGHEST = 0.99


class ModelAgreement(Value, frozen=True):
    """The number of equal answers of weak and strong model."""

    of: str = ""
    """The version and its time; another version begins anew."""
    agreed: int = 0
    differed: int = 0
    taken: frozenset[str] = frozenset()

    def bound(self, alpha: float) -> float:
        """Return a share below the true one at every look, except with probability ``alpha``."""
        return lower_bound(self.agreed, self.differed, alpha)

    def after(self, rows: Sequence[Observed], *, weak: str, version: int | None, began: float) -> "ModelAgreement":
        """Return the state after another look at the newest rows."""
        of = f"{version} {began}"
        state = self if self.of == of else ModelAgreement(of=of)
        labelled = [
            exchange for exchange in rows if exchange.source == "shadow" and _taught(exchange, weak, version, began)
        ]
        fresh = [exchange.correct for exchange in labelled if exchange.id not in state.taken]
        return msgspec.structs.replace(
            state,
            agreed=state.agreed + sum(correct is True for correct in fresh),
            differed=state.differed + sum(correct is False for correct in fresh),
            taken=frozenset(exchange.id for exchange in labelled),
        )


class DriftWatch(Value, frozen=True):
    """A drift detector over the labels of one live version."""

    of: str
    """The version and its time; another version begins anew."""
    version: int
    drift: DriftDetector
    wrong: int = 0
    noticed_at: float | None = None
    """Seconds since the epoch."""
    taken: frozenset[str] = frozenset()

    def after(self, rows: Sequence[Observed], *, weak: str, began: float, now: float) -> "DriftWatch":
        """Return the state after another look at the newest rows."""
        labelled = [
            exchange for exchange in rows if exchange.source in TRUSTED and _taught(exchange, weak, self.version, began)
        ]
        drift, wrong = self.drift, self.wrong
        for exchange in labelled:
            if exchange.id not in self.taken and not drift.noticed:
                drift, wrong = drift.after(not exchange.correct), wrong + (not exchange.correct)
        noticed = now if drift.noticed and self.noticed_at is None else self.noticed_at
        return msgspec.structs.replace(
            self, drift=drift, wrong=wrong, noticed_at=noticed, taken=frozenset(exchange.id for exchange in labelled)
        )

    @property
    def why(self) -> str:
        """The numbers in words."""
        n = self.drift.n
        counts = f"{self.wrong} of {n} labelled replies were wrong ({self.wrong / n:.0%})" if n else "no labelled reply"
        return f"{counts}, the verification promised at most {self.drift.baseline:.0%}"


def drift_watch(of: str, version: int, evidence: Evidence | None) -> DriftWatch | None:
    """Return a detector with the verification's error rate as baseline; ``None`` without a verification."""
    if evidence is None or evidence.after.n == 0:
        return None
    wrong = round((1 - evidence.after.accuracy) * evidence.after.n)
    baseline = min(upper_bound(wrong, evidence.after.n - wrong, _MARGIN), _HIGHEST)
    return DriftWatch(of=of, version=version, drift=DriftDetector(baseline=baseline, alpha=DRIFT_ALPHA))


def _taught(exchange: Observed, weak: str, version: int | None, began: float) -> bool:
    """Decide whether a labelled reply is the weak model's with its live rules, in front of a caller or in the
    background.
    """
    return (
        exchange.model == weak
        and exchange.arm in ("weak", "shadow")
        and exchange.rules == version
        and exchange.created >= began
        and exchange.status != "abandoned"
        and exchange.correct is not None
    )
