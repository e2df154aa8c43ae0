"""Drift: from some unknown moment on, the live arm is wrong more often than its evidence promised.

A comparison of arms is blind to a decline of both; the detector watches one arm alone. It is the Shiryaev-Roberts
e-detector of Shin, Ramdas & Rinaldo (arXiv 2203.03532, section 3): every outcome opens a new bet of 1 against "no more
wrong than the baseline", and the statistic is the value of all bets. While the baseline holds, a false alarm takes on
average at least 1/alpha outcomes, however the outcomes hang together over time. This promise is about a long row of
outcomes, not about one trial: alpha is far smaller here than in a test.

The CUSUM form keeps only the best of the bets; its promise is equal and its alarm never earlier. Knows no clock and
answers no alarm.
"""

from gateway.domain import Value
from optimizer.statistics.e_process import BREAKS


class DriftDetector(Value, frozen=True):
    """The state of a detector after ``n`` outcomes; start with ``DriftDetector(baseline=..., alpha=...)``."""

    baseline: float
    """The highest share of wrong answers without drift, above 0 and below 1: the upper end of the measurement."""
    alpha: float
    """1/alpha is the least mean number of outcomes from the start to a false alarm."""
    n: int = 0
    """Outcomes so far; frozen at an alarm."""
    parts: tuple[float, ...] = (0.0,) * len(BREAKS)
    """The statistic for each share of ``BREAKS``."""

    @property
    def statistic(self) -> float:
        """The mean of the parts: without drift, its expectation is at most ``n``."""
        return sum(self.parts) / len(self.parts)

    @property
    def noticed(self) -> bool:
        """True at an alarm."""
        return self.statistic * self.alpha >= 1

    def after(self, wrong: float) -> "DriftDetector":
        """Return the state after one more outcome, a share of wrong answers (0..1); an alarm stays."""
        if self.noticed:
            return self
        parts = tuple((part + 1) * self._factor(share, wrong) for part, share in zip(self.parts, BREAKS, strict=True))
        return DriftDetector(baseline=self.baseline, alpha=self.alpha, n=self.n + 1, parts=parts)

    def _factor(self, share: float, wrong: float) -> float:
        """Likelihood ratio of one outcome: ``share`` of the right answers became wrong, against the baseline.

        For shares between right and wrong, a straight line between both: its mean is 1 at the baseline as well.
        """
        return 1 - share + wrong * share / self.baseline
