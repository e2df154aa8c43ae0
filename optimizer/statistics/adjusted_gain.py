"""The gain to promise: the measured gain less what selection and early stopping added to it.

Only candidates past a boundary are published, so their measured gains are the lucky ones: of true gains of 5 points
found on 50 items, none measures less than 12. The adjusted interval holds the true gain in 95% of the *published*
cases. It is conditional on the adoption: for each possible true gain it asks how extreme the measured one is among all
runs that end in an adoption, an earlier look counting as more extreme (Fairbanks & Madsen, Biometrika 69 (1982) 69,
with the truncation of Zhong & Prentice, Biostatistics 9 (2008) 621). Totals are taken as normal between the looks.

Its lower end may lie below 0 although the gate's test was passed: right above a boundary, a published gain is weak
evidence. It never lies below the unconditional bound at 99.9% (the hybrid of McCloskey, Biometrika 111 (2024) 1),
the upper end never below the unconditional one at 97.5%: the choice makes measured gains too high, and hardly ever too
low. Without that, true gains of 15 points lay above the interval in up to 19% of cases. Coverage is measured by
``tests/bench/distillation/promises``.
"""

import math
from collections.abc import Sequence

from gateway.domain import Value
from optimizer.statistics.cluster_sums import PairedSample
from optimizer.statistics.paired_test import CONFIDENCE_Z, mcnemar

TAIL = 0.015
"""Of either side, less than 2.5%: with few discordant pairs the normal approximation falls short of its promise."""
REACH = 3.3
"""Standard errors around the measured gain that are searched: the unconditional bound at 99.9%."""
_NODES = 32
_HALVINGS = 14
_SQRT2, _SQRT2PI = math.sqrt(2), math.sqrt(2 * math.pi)


class LookState(Value, frozen=True):
    """A look of a test: the sums that it saw, and the boundaries that it was held to."""

    weight: float
    """Items that the sample stood for."""
    total: float
    """The sum of all differences."""
    squares: float
    """The sum of the squared sums of clusters."""
    flips: int
    """Clusters with a difference."""
    clusters: int
    needed: float
    """The z of a gain."""
    level: float
    """The highest exact p-value of a gain."""
    futile_below: float | None = None
    """The z below which the test would have ended."""
    counts: bool = True
    """False for a look of an earlier stage, passed without an adoption."""


class AdjustedGain(Value, frozen=True):
    """The median-unbiased gain, never below 0 nor above the measured gain, and its interval."""

    gain: float
    interval: tuple[float, float]


def state_of(sample: PairedSample, *, needed: float, level: float, futile_below: float | None) -> LookState:
    """Return the state of a look at a sample."""
    sums, (total, squares) = sample.sums, sample.total_and_squares
    return LookState(
        weight=sample.weight,
        total=total,
        squares=squares,
        flips=sum(1 for value in sums if value),
        clusters=len(sums),
        needed=needed,
        level=level,
        futile_below=futile_below,
    )


def adjusted_gain(looks: Sequence[LookState], later: Sequence[LookState] = ()) -> AdjustedGain:
    """Return the gain of a test that ended in an adoption at the last of ``looks``.

    ``later`` are the planned looks after it: of their sums only ``weight`` is read.
    """
    walk = _Walk(looks, later)
    measured, error = walk.measured, walk.error

    def solve(tail: float, offset: float) -> float:
        low, high = measured - REACH * error, measured + REACH * error
        if walk.extremeness(low, offset) > tail:
            return low
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if walk.extremeness(middle, offset) < tail else (low, middle)
        return (low + high) / 2

    low, high = solve(TAIL, -walk.half_step), solve(1 - TAIL, walk.half_step)
    gain = max(0.0, min(measured, solve(0.5, 0.0)))
    return AdjustedGain(
        gain=gain, interval=(max(-1.0, min(low, gain)), min(1.0, max(high, measured + CONFIDENCE_Z * error)))
    )


class _Walk:
    """The total of the differences from look to look, as a normal walk between the boundaries."""

    def __init__(self, looks: Sequence[LookState], later: Sequence[LookState]) -> None:
        last = looks[-1]
        self._last = len(looks) - 1
        self._total = last.total
        self._share = last.squares / last.weight  # of the variance, per item, without any gain
        self._size = math.sqrt(last.squares / max(1, last.flips))  # of a typical difference of a cluster
        self._items = last.weight / max(1, last.clusters)  # of a cluster
        self.half_step = self._size / 2 if last.flips == last.squares else 0.0
        self._looks = [*looks, *(_projected(look, last) for look in later)]
        self._gains = [self._least(look) - self.half_step for look in self._looks]
        self.measured = last.total / last.weight
        spread = max(self._share - self._items * self.measured**2, self._size**2 / last.weight)
        self.error = math.sqrt(spread / last.weight)

    def _least(self, look: LookState) -> float:
        """The smallest total that would have been a gain at a look."""
        flips = max(0, round(look.squares / self._size**2)) if self._size else 0
        return self._size * least_lead(flips, look.needed, look.level)

    def extremeness(self, gain: float, offset: float) -> float:
        """The chance of a total as extreme as the measured one, given an adoption and a true gain per item."""
        more = adopted = 0.0
        start, passed = [(0.0, 1.0)], 0.0
        more_flips = max(0.0, gain - self.measured) * self._size
        variance = max(self._share + more_flips - self._items * gain**2, 1e-4)
        for place, (look, least) in enumerate(zip(self._looks, self._gains, strict=True)):
            step = max(1e-9, look.weight - passed)
            passed = look.weight
            drift, deviation = step * gain, math.sqrt(step * variance)
            if look.counts:
                here = _above(start, least - drift, deviation)
                adopted += here
                if place < self._last:
                    more += here
                elif place == self._last:
                    more += _above(start, max(self._total + offset, least) - drift, deviation)
            centre, spread = look.weight * gain, math.sqrt(look.weight * variance)
            low = max(centre - 6 * spread, -math.inf if look.futile_below is None else self._futile(look))
            start = _spread(start, drift, deviation, low, min(least, centre + 6 * spread))
        return more / adopted if adopted > 0 else 0.0

    def _futile(self, look: LookState) -> float:
        return (look.futile_below or 0.0) * math.sqrt(look.squares) - self.half_step


def least_lead(flips: int, needed: float, level: float) -> int:
    """Return the smallest lead, fixed less broken, that is a gain among so many discordant pairs."""
    low, high = (flips + 1) // 2, flips + 1
    while low < high:
        fixed = (low + high) // 2
        lead = 2 * fixed - flips
        enough = flips > 0 and lead >= needed * math.sqrt(flips) and mcnemar(fixed, flips - fixed) <= level
        low, high = (low, fixed) if enough else (fixed + 1, high)
    return 2 * low - flips


def _projected(look: LookState, last: LookState) -> LookState:
    """A look to come, with sums in proportion to the last look's."""
    factor = look.weight / last.weight
    return LookState(
        weight=look.weight, total=0.0, squares=last.squares * factor, flips=round(last.flips * factor),
        clusters=round(last.clusters * factor), needed=look.needed, level=look.level, futile_below=look.futile_below,
    )  # fmt: skip


def _above(start: Sequence[tuple[float, float]], bound: float, deviation: float) -> float:
    """The chance to be above a bound after a normal step; ``start`` are places and their chances."""
    return sum(chance * 0.5 * math.erfc((bound - place) / deviation / _SQRT2) for place, chance in start)


def _spread(
    start: Sequence[tuple[float, float]], drift: float, deviation: float, low: float, high: float
) -> list[tuple[float, float]]:
    """Places between two bounds after a normal step, with their chances."""
    if high <= low:
        return []
    width = (high - low) / _NODES
    places = [low + width * (node + 0.5) for node in range(_NODES)]
    scale = width / (deviation * _SQRT2PI)
    return [
        (
            place,
            scale * sum(chance * math.exp(-(((place - at - drift) / deviation) ** 2) / 2) for at, chance in start),
        )
        for place in places
    ]
