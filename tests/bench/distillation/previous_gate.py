"""The acceptance of commit 327abc6, frozen for comparison: McNemar's test on single items, whoever labelled them.

Four looks with O'Brien-Fleming boundaries and an exact p-value, each item its own unit; a wrong label, a copy and a
label chosen by the outcome count like any other. ``adopts`` takes differences: +1 fixed, -1 broken, 0 neither.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

BOUNDARIES = (3.49, 2.47, 2.01, 1.74)
LEVEL = 0.05
_NORMAL = NormalDist()


def adopts(differences: Sequence[float], *, level: float = LEVEL) -> bool:
    """Decide as the gate of 327abc6 did, futility included."""
    planned = len(differences)
    if planned < 10:
        return False
    for look, boundary in enumerate(BOUNDARIES, start=1):
        seen = differences[: math.ceil(planned * look / 4)]
        fixed, broken = sum(change > 0 for change in seen), sum(change < 0 for change in seen)
        z = (fixed - broken) / math.sqrt(fixed + broken) if fixed + broken else 0.0
        needed = boundary * (_NORMAL.inv_cdf(level) / _NORMAL.inv_cdf(LEVEL))
        if z >= needed and _p_value(fixed, broken) <= level:
            return True
        if (-z >= boundary and _p_value(broken, fixed) <= LEVEL) or (1 < look < 4 and z < 0.3):
            return False
    return False


def _p_value(fixed: int, broken: int) -> float:
    pairs = fixed + broken
    return sum(math.comb(pairs, k) for k in range(fixed, pairs + 1)) / 2.0**pairs
