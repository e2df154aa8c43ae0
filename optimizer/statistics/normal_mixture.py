"""An interval of a mean that holds at every look, also at one that was chosen because of what it showed.

Robbins' normal mixture (Ann. Math. Statist. 41 (1970) 1397), for means whose spread is estimated (Waudby-Smith et al.,
Ann. Statist. 52 (2024) 2613, theorem 2.2). It is some 1.6 times as wide as an interval for one look.
"""

import math

TIGHTEST = 100
"""Observations at which it is narrowest, measured against the interval for one look."""


def half_width(n: int, alpha: float = 0.05, *, tightest: int = TIGHTEST) -> float:
    """Return half the width of the ``1 - alpha`` interval of a mean of ``n`` observations, in standard deviations."""
    mixing = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / tightest
    inner = n * mixing + 1
    return math.sqrt(2 * inner / (n**2 * mixing) * math.log(math.sqrt(inner) / alpha))
