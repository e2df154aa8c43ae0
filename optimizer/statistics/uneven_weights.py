"""The spread of a weighted total if nothing changed, where rare heavy losses may not have been drawn.

Complaints count once and fix only; a label of the queue stands for ten items and breaks as well. If by luck few of the
heavy items were drawn, the total is high and its measured spread is low at once: with 20 labels of a queue of 225 a
useless change passed in 19% of cases. So the spread is taken under no change: of all ways to weight the observed sums
so that they add up to nothing, the likeliest (empirical likelihood: Owen, Biometrika 75 (1988) 237), with a quarter of
one heaviest loss among them, as if seen (a pseudo-observation: Chen, Variyath & Abraham, J. Comput. Graph. Stat. 17
(2008) 426). Equal weights never come here: their spread is McNemar's.
"""

import math
from collections import Counter
from collections.abc import Sequence

UNSEEN = 0.25
"""Heaviest losses that are added to those seen."""
_HALVINGS = 50


def spread_without_change(sums: Sequence[float], heaviest: float) -> float:
    """Return the sum of squares of the sums if their mean were 0, never below the observed one.

    The sums' total is positive; ``heaviest`` (above 0) is the largest loss that one item could have been.
    """
    counts = Counter(sums)
    observed = math.fsum(count * total**2 for total, count in counts.items())
    counts.pop(0.0, None)
    weighted: list[tuple[float, float]] = [*counts.items(), (-heaviest, UNSEEN)]
    tilt = _tilt(weighted)
    return max(observed, math.fsum(count * total**2 / (1 + tilt * total) for total, count in weighted))


def _tilt(weighted: Sequence[tuple[float, float]]) -> float:
    """The multiplier with which the sums, each weighted by 1 / (1 + tilt * sum), add up to nothing."""
    low, high = 0.0, -1 / min(total for total, _ in weighted)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = math.fsum(count * total / (1 + middle * total) for total, count in weighted) > 0
        low, high = (middle, high) if above else (low, middle)
    return low
