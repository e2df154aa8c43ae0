"""Paired outcomes in clusters: a conversation, a user or a family of near-duplicates counts as one observation.

Twenty copies of a question are no twenty questions. So the differences of a cluster are added up, and the test is on
the sums: z is their total over the root of their squares, and the exact p-value flips the sign of each sum at random
(Fisher, The Design of Experiments, 1935, section 21). If every item is its own cluster, both are McNemar's numbers, so
independent items lose nothing. Scores between 0 and 1 are sums like any other; unequal weights widen the spread
(``uneven_weights``). Items that labellers passed over count as losses: they might be. Decides nothing.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from gateway.domain import Value
from optimizer.statistics.paired_test import CONFIDENCE_Z, Pairs, newcombe, paired_interval, score_interval
from optimizer.statistics.uneven_weights import spread_without_change

STEPS = 2000
"""Steps on which sums with fractions are rounded for the exact p-value; the rounded sums are as symmetrical."""


class PairedOutcome(Value, frozen=True):
    """One item, graded under both arms: 0 is wrong, 1 is right."""

    cluster: str
    before: float
    after: float
    weight: float = 1.0
    """Items that this outcome stands for; below 0 in a correction (``prediction_powered``)."""

    @property
    def difference(self) -> float:
        return self.weight * (self.after - self.before)


class PairedSample(Value, frozen=True):
    """Paired outcomes up to one look."""

    outcomes: tuple[PairedOutcome, ...]
    passed_over: float = 0.0
    """Weight of items that nobody labelled though asked: each may be a loss. A gain must be shown in spite of them."""

    @property
    def n(self) -> int:
        return len(self.outcomes)

    @property
    def weight(self) -> float:
        """Items that the sample stands for."""
        return sum(outcome.weight for outcome in self.outcomes)

    @property
    def pairs(self) -> Pairs:
        """Counts of items, each once; better and worse scores count as fixed and broken."""
        fixed = sum(outcome.after > outcome.before for outcome in self.outcomes)
        broken = sum(outcome.after < outcome.before for outcome in self.outcomes)
        both = sum(outcome.after == outcome.before >= 0.5 for outcome in self.outcomes)
        return Pairs(both=both, fixed=fixed, broken=broken, neither=self.n - fixed - broken - both)

    @property
    def sums(self) -> list[float]:
        """The sum of the differences of each cluster."""
        sums: dict[str, float] = defaultdict(float)
        for outcome in self.outcomes:
            sums[outcome.cluster] += outcome.difference
        return list(sums.values())

    @property
    def clusters(self) -> int:
        return len({outcome.cluster for outcome in self.outcomes})

    @property
    def change(self) -> float:
        """The mean difference, -1..1; 0 without items."""
        weight = self.weight
        return sum(outcome.difference for outcome in self.outcomes) / weight if weight else 0.0

    @property
    def z(self) -> float:
        """The test's statistic, positive if the candidate is ahead in spite of all items passed over."""
        total, squares = self.total_and_squares
        return total / math.sqrt(squares) if squares > 0 else 0.0

    @property
    def total_and_squares(self) -> tuple[float, float]:
        """The two parts of ``z``. The lead of a candidate that is ahead is less by the items passed over."""
        sums = self.sums
        ahead = math.fsum(sums) > 0
        if ahead:
            sums += self._possible_losses
        total, weights = math.fsum(sums), {outcome.weight for outcome in self.outcomes}
        if (ahead and total <= 0) or len(weights) < 2 or not total:
            return max(0.0, total) if ahead else total, math.fsum(value * value for value in sums)
        return total, spread_without_change(sums if ahead else [-value for value in sums], max(weights))

    @property
    def _possible_losses(self) -> list[float]:
        unit = max((outcome.weight for outcome in self.outcomes), default=0.0)
        whole = int(self.passed_over / unit) if unit else 0
        return [-loss for loss in (*[unit] * whole, self.passed_over - unit * whole) if loss > 1e-9]

    @property
    def p_better(self) -> float:
        """Exact one-sided p-value of a gain, items passed over counting as losses."""
        return sign_flip_p([*self.sums, *self._possible_losses])

    @property
    def p_worse(self) -> float:
        """Exact one-sided p-value of a loss."""
        return sign_flip_p([-total for total in self.sums])

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the change, as wide as the clusters demand."""
        return sample_interval(self.outcomes)


def sign_flip_p(sums: Iterable[float]) -> float:
    """Return the chance of a total at least as large if every sum might as well have the other sign.

    Exact for whole numbers up to ``STEPS`` in all; otherwise the sums are rounded to so many steps, which favours
    neither sign. The numbers of sign patterns by total are the digits of one large integer.
    """
    listed = [total for total in sums if total]
    size = math.fsum(map(abs, listed))
    whole = size <= STEPS and all(float(total).is_integer() for total in listed)
    steps = [round(total if whole else total * STEPS / size) for total in listed]
    steps = [step for step in steps if step]
    if not steps:
        return 1.0
    width = len(steps) + 1  # bits of a digit: no number of patterns is longer
    patterns = 1
    for step in steps:
        patterns += patterns << (abs(step) * width)
    positive = sum(step for step in steps if step > 0)
    at_least = (patterns >> (positive * width)) % ((1 << width) - 1)  # the sum of the digits from there on
    return at_least / (1 << len(steps))


def sample_interval(outcomes: Sequence[PairedOutcome]) -> tuple[float, float]:
    """Return the 95% interval of the mean difference; (-1, 1) without items or with a single cluster.

    Newcombe's interval on as many items as the clusters are worth: the number of items over the design effect, the
    ratio of the clustered variance to the variance of independent items. For scores and corrections: Student's.
    """
    if not outcomes:
        return (-1.0, 1.0)
    sample = PairedSample(outcomes=tuple(outcomes))
    clusters = sample.clusters
    binary = all({outcome.before, outcome.after} <= {0.0, 1.0} for outcome in outcomes)
    if binary and clusters == len(outcomes) and all(outcome.weight == 1.0 for outcome in outcomes):
        return paired_interval(sample.pairs)
    if clusters == 1:
        return (-1.0, 1.0)
    t, spread = student(clusters - 1), _cluster_variance(outcomes, sample.change)
    if not binary or any(outcome.weight <= 0 for outcome in outcomes):
        half = t * math.sqrt(spread) if spread else 1.0
        return (max(-1.0, sample.change - half), min(1.0, sample.change + half))
    worth, weight = _worth(outcomes, spread, sample.change, clusters), sample.weight
    shares = {(before, after): 0.0 for before in (0.0, 1.0) for after in (0.0, 1.0)}
    for outcome in outcomes:
        shares[outcome.before, outcome.after] += outcome.weight / weight
    return newcombe(
        both=worth * shares[1.0, 1.0],
        fixed=worth * shares[0.0, 1.0],
        broken=worth * shares[1.0, 0.0],
        neither=worth * shares[0.0, 0.0],
        z=t,
    )


def share_interval(values: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """Return the 95% interval of a mean of values (0..1) with their clusters; (0, 1) without values."""
    if not values:
        return (0.0, 1.0)
    outcomes = [PairedOutcome(cluster=cluster, before=0.0, after=value) for cluster, value in values]
    mean, clusters = sum(value for _, value in values) / len(values), len({cluster for cluster, _ in values})
    if clusters == len(values):
        return score_interval(mean * len(values), len(values))
    if clusters == 1:
        return (0.0, 1.0)
    worth = _worth(outcomes, _cluster_variance(outcomes, mean), mean, clusters)
    return score_interval(mean * worth, worth, z=student(clusters - 1))


def student(freedom: int) -> float:
    """Return Student's two-sided 95% quantile, by its expansion around the normal's (Fisher & Cornish 1960)."""
    z, v = CONFIDENCE_Z, max(1, freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3


def _cluster_variance(outcomes: Sequence[PairedOutcome], change: float) -> float:
    """Return the variance of the mean difference, from the deviations of the clusters."""
    deviations: dict[str, float] = defaultdict(float)
    for outcome in outcomes:
        deviations[outcome.cluster] += outcome.difference - outcome.weight * change
    weight, clusters = sum(outcome.weight for outcome in outcomes), len(deviations)
    return clusters / (clusters - 1) * math.fsum(value**2 for value in deviations.values()) / weight**2


def _worth(outcomes: Sequence[PairedOutcome], spread: float, change: float, clusters: int) -> float:
    """Return the number of independent items with the sample's precision: all of them at most, 1 at least.

    Without any variation, nothing is known of the dependence: a cluster then counts once.
    """
    weight = sum(outcome.weight for outcome in outcomes)
    alone = sum(outcome.weight * (outcome.after - outcome.before - change) ** 2 for outcome in outcomes) / weight
    if not alone or not spread:
        return float(clusters)
    return max(1.0, min(float(len(outcomes)), alone / spread))
