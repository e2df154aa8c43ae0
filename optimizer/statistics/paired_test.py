"""The gate: does a candidate beat the incumbent on items without an earlier decision? Pure functions over counts.

Both answer the same items, so only discordant pairs count: one arm right, the other wrong. McNemar's test (McNemar
1947) asks if ``fixed`` out of ``fixed + broken`` is more than a fair coin gives. It is asked at four looks with
O'Brien-Fleming boundaries for its z (O'Brien & Fleming 1979; one-sided 5% over all looks together), so a clear case
ends early without more false adoptions; and nothing is adopted on an exact p-value above 5%. Both conditions together
adopt at most 5.0% of null changes, looks included, while up to 80% of the pairs differ (computed without simulation:
``tests/bench/distillation``). Does not call models and publishes nothing.

The binomial tail is summed in integers: the same numbers as ``scipy.stats.binomtest`` (the tests compare them), without
90 MB of resident memory and 1.4 s of import inside a serving gateway.
"""

import math
from statistics import NormalDist
from typing import Protocol

from gateway.domain import Value, VerdictName

_NORMAL = NormalDist()
BOUNDARIES = (3.49, 2.47, 2.01, 1.74)
"""Boundaries for z at the four looks, at 25, 50, 75 and 100% of the planned items."""
LEVEL = 0.05
"""The highest exact p-value of an adoption at any look: with few discordant pairs, z alone promises too much."""
_TINY = 1e-12  # below every possible p-value, above every level without a z
FUTILE_BELOW = 0.3
"""From the second look on, a z below this ends the test: the hoped-for gain is out of reach."""
MINIMUM = 10
"""Confirmation items needed to begin a test: with fewer, hardly any gain could be told from luck."""
CONFIDENCE_Z = _NORMAL.inv_cdf(0.975)


class Pairs(Value, frozen=True):
    """Counts of the items by the arms with a right answer."""

    both: int = 0
    fixed: int = 0
    """Only the candidate was right."""
    broken: int = 0
    """Only the incumbent was right."""
    neither: int = 0

    @property
    def n(self) -> int:
        return self.both + self.fixed + self.broken + self.neither

    @property
    def z(self) -> float:
        """McNemar's statistic, positive where the candidate is ahead."""
        discordant = self.fixed + self.broken
        return (self.fixed - self.broken) / math.sqrt(discordant) if discordant else 0.0

    @property
    def clusters(self) -> int:
        """Each item is a cluster of its own."""
        return self.n

    @property
    def change(self) -> float:
        """The change in accuracy, -1..1; 0 without items."""
        return (self.fixed - self.broken) / self.n if self.n else 0.0

    @property
    def pairs(self) -> "Pairs":
        """The counts themselves."""
        return self

    @property
    def p_better(self) -> float:
        """Exact one-sided p-value of a gain."""
        return mcnemar(self.fixed, self.broken)

    @property
    def p_worse(self) -> float:
        """Exact one-sided p-value of a loss."""
        return mcnemar(self.broken, self.fixed)

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the change in accuracy."""
        return paired_interval(self)


class PairedData(Protocol):
    """Both arms on the items so far: independent items (``Pairs``) or clusters (``cluster_sums.PairedSample``)."""

    @property
    def n(self) -> int: ...
    @property
    def clusters(self) -> int: ...
    @property
    def pairs(self) -> Pairs: ...
    @property
    def change(self) -> float: ...
    @property
    def z(self) -> float: ...
    @property
    def p_better(self) -> float: ...
    @property
    def p_worse(self) -> float: ...
    @property
    def interval(self) -> tuple[float, float]: ...


class Finding(Value, frozen=True):
    """The gate's verdict and its grounds. ``p_value`` is the look's own, exact, not adjusted for earlier looks."""

    verdict: VerdictName
    pairs: Pairs
    p_value: float
    interval: tuple[float, float]
    """95% interval of the change in accuracy."""
    look: int
    """1..4"""
    note: str
    change: float = 0.0
    """The change in accuracy as measured, -1..1: too high by the choice of what is adopted (``adjusted_gain``)."""
    clusters: int = 0


class Gate(Value, frozen=True):
    """A test of ``planned`` items; a loss of accuracy up to ``margin`` (0..1) counts as non-inferior.

    Without ``futility`` the test goes on to the last look unless a boundary is crossed: more calls, and the verdicts
    worse and non-inferior can be told apart. One of many tests is held to a ``level`` below 5% (``alpha_spending``): a
    gain then needs a higher z at each look and a lower exact p-value; a loss needs no more than before. A test carried
    on from ``begun`` items looks four times at the items after them, always at all items together: looks closer to each
    other cross a boundary less often, not more (Slepian, Bell System Technical Journal 41 (1962) 463).
    """

    planned: int
    margin: float
    futility: bool = True
    level: float = LEVEL
    begun: int = 0

    def looks(self) -> tuple[int, ...]:
        """Items up to each look."""
        new = self.planned - self.begun
        return tuple(self.begun + math.ceil(new * part / len(BOUNDARIES)) for part in range(1, len(BOUNDARIES) + 1))

    def needed(self, look: int) -> float:
        """The z of a gain at look 1..4."""
        return BOUNDARIES[look - 1] * (_NORMAL.inv_cdf(max(self.level, _TINY)) / _NORMAL.inv_cdf(LEVEL))

    def futile_below(self, look: int) -> float | None:
        """The z below which look 1..4 ends the test; ``None`` where none does."""
        return FUTILE_BELOW if self.futility and 1 < look < len(BOUNDARIES) else None

    def judge(self, look: int, seen: PairedData) -> Finding | None:
        """Return the finding at look 1..4, or ``None`` to go on to the next look."""
        boundary, needed, z = BOUNDARIES[look - 1], self.needed(look), seen.z
        better = seen.p_better

        def finding(verdict: VerdictName, note: str) -> Finding:
            groups = "" if seen.clusters == seen.n else f" in {seen.clusters} clusters"
            return Finding(
                verdict=verdict,
                pairs=seen.pairs,
                p_value=better,
                interval=seen.interval,
                look=look,
                note=f"look {look} of {len(BOUNDARIES)}, {seen.n} items{groups}: {note}",
                change=seen.change,
                clusters=seen.clusters,
            )

        if z >= needed and better <= self.level:
            return finding("better", f"z = {z:.2f}, at least {needed:.2f} was needed, and p = {better:.2g}")
        if -z >= boundary and (worse := seen.p_worse) <= LEVEL:
            return finding("worse", f"z = {z:.2f}, a loss from -{boundary} down, and p = {worse:.2g} for it")
        if look == len(BOUNDARIES):
            safe = seen.interval[0] > -self.margin
            note = f"no gain shown, and a loss of more than {self.margin:.0%} is ruled out"
            if z >= boundary and better <= LEVEL:
                note = (
                    f"z = {z:.2f}, p = {better:.2g}: one test could call this a gain, but of all scheduled ones"
                    f" this was allowed {self.level:.2g} (z of {needed:.2f})"
                )
            elif not safe:
                note = "neither a gain nor a loss is shown"
            return finding("non-inferior" if safe else "cannot tell", note)
        futile = self.futile_below(look)
        if futile is not None and z < futile:
            return finding("cannot tell", "stopped early, a gain is out of reach")
        return None


def mcnemar(fixed: int, broken: int) -> float:
    """Exact one-sided p-value: the chance of ``fixed`` or more of the discordant pairs if neither arm is better."""
    discordant = fixed + broken
    tail = sum(math.comb(discordant, k) for k in range(fixed, discordant + 1))
    return tail / (1 << discordant)


def paired_interval(pairs: Pairs) -> tuple[float, float]:
    """95% interval of the change in accuracy: Newcombe, Statistics in Medicine 17 (1998) 2635, method 10.

    A hybrid of Wilson's score intervals of both accuracies, corrected for the correlation of the pairs; good at small n
    and near 0 and 1, unlike the textbook interval with its width of zero. Without items it is (-1, 1).
    """
    return newcombe(both=pairs.both, fixed=pairs.fixed, broken=pairs.broken, neither=pairs.neither)


def newcombe(
    *, both: float, fixed: float, broken: float, neither: float, z: float = CONFIDENCE_Z
) -> tuple[float, float]:
    """Return Newcombe's interval of a paired change from counts, or from the items that clusters are worth."""
    n = both + fixed + broken + neither
    if not n:
        return (-1.0, 1.0)
    after, before = (both + fixed) / n, (both + broken) / n
    low_a, high_a = score_interval(both + fixed, n, z=z)
    low_b, high_b = score_interval(both + broken, n, z=z)
    phi = _correlation(both, fixed, broken, neither)
    down_a, up_a, down_b, up_b = after - low_a, high_a - after, before - low_b, high_b - before
    down = math.sqrt(max(0.0, down_a**2 - 2 * phi * down_a * up_b + up_b**2))
    up = math.sqrt(max(0.0, up_a**2 - 2 * phi * up_a * down_b + down_b**2))
    change = after - before
    return (max(-1.0, change - down), min(1.0, change + up))


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval of a proportion."""
    return score_interval(right, n)


def score_interval(right: float, n: float, *, z: float = CONFIDENCE_Z) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion; ``right`` and ``n`` may be fractions (``cluster_sums``)."""
    z2 = z**2
    centre = (right + z2 / 2) / (n + z2)
    half = z / (n + z2) * math.sqrt(max(0.0, right * (n - right)) / n + z2 / 4)
    return (max(0.0, centre - half), min(1.0, centre + half))


def _correlation(both: float, fixed: float, broken: float, neither: float) -> float:
    """Newcombe's phi, continuity-corrected towards zero."""
    right_a, right_b, n = both + fixed, both + broken, both + fixed + broken + neither
    product = right_a * (n - right_a) * right_b * (n - right_b)
    if product <= 0:
        return 0.0
    numerator = float(both * neither - fixed * broken)
    if numerator > 0:
        numerator = max(0.0, numerator - n / 2)
    return numerator / math.sqrt(product)


def smallest_detectable(n: int, *, discordant: float = 0.2, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true gain (0..1) for the given power of a one-sided test on ``n`` items.

    Connor, Biometrics 43 (1987) 207: n = (z_alpha sqrt(d) + z_power sqrt(d - gain^2))^2 / gain^2, where ``d`` is the
    share of discordant pairs, at least the gain itself. 1.0 if no gain could be found.
    """
    z_alpha, z_power = _NORMAL.inv_cdf(1 - alpha), _NORMAL.inv_cdf(power)

    def needed(gain: float) -> float:
        share = max(discordant, gain)
        return (z_alpha * math.sqrt(share) + z_power * math.sqrt(share - gain**2)) ** 2 / gain**2

    low, high = 1e-6, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if needed(middle) <= n else (middle, high)
    return high
