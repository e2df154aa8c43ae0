"""Drift: the live arm is wrong more often than its evidence promised, from some moment on that nobody knows.

A comparison of arms does not see what becomes worse for everybody; this looks at one arm alone. It is the
Shiryaev-Roberts e-detector of Shin, Ramdas & Rinaldo (arXiv 2203.03532, section 3): at every outcome a new bet of 1
against "no more wrong than the baseline" is opened, and the statistic is the worth of all of them. While the baseline
holds, it takes on average at least 1/alpha outcomes until a false alarm, however the outcomes hang together over time.
That is a promise about alarms in a row of outcomes, not about one trial: alpha is far smaller here than in a test.

The CUSUM form keeps only the best bet of them; it has the same promise and is never earlier. Knows no clock and
answers no alarm.
"""

from gateway.domain import Value
from optimizer.statistics.e_process import BREAKS


class DriftDetector(Value, frozen=True):
    """The state of a detector after ``n`` outcomes; start with ``DriftDetector(baseline=..., alpha=...)``."""

    baseline: float
    """The highest share of wrong answers, above 0 and below 1, that is no drift: the upper end of what was measured."""
    alpha: float
    """1/alpha is the least mean number of outcomes from the start to a false alarm."""
    n: int = 0
    """Outcomes so far; at an alarm it stays."""
    parts: tuple[float, ...] = (0.0,) * len(BREAKS)
    """The statistic for each share of ``BREAKS`` that may have become wrong."""

    @property
    def statistic(self) -> float:
        """The mean of the parts: with no drift, its expectation is at most ``n``."""
        return sum(self.parts) / len(self.parts)

    @property
    def noticed(self) -> bool:
        """Whether there is an alarm."""
        return self.statistic * self.alpha >= 1

    def after(self, wrong: bool) -> "DriftDetector":
        """The state after one more outcome; an alarm stays until somebody starts anew."""
        if self.noticed:
            return self
        parts = tuple((part + 1) * self._factor(share, wrong) for part, share in zip(self.parts, BREAKS, strict=True))
        return DriftDetector(baseline=self.baseline, alpha=self.alpha, n=self.n + 1, parts=parts)

    def _factor(self, share: float, wrong: bool) -> float:
        """Likelihood of one outcome if ``share`` of the right answers became wrong, relative to the baseline."""
        return (self.baseline + (1 - self.baseline) * share) / self.baseline if wrong else 1 - share
