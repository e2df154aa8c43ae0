"""The likeliest beginning of a rise in the share of wrong answers.

Two stretches with a share each, the later one larger, against one share for all: the place is that of the largest
likelihood. A rise is sure if the likelihood ratio exceeds the number of places over ``ALPHA``: a bound for the best of
all places, by the usual approximation of each ratio's distribution.
"""

import math
from collections.abc import Sequence

from gateway.domain import Value

ALPHA = 1e-4
"""Chance of a sure rise among outcomes without one, about."""


class Rise(Value, frozen=True):
    """The likeliest rise in a row of outcomes."""

    place: int
    """The first outcome behind it; 0 without any."""
    sure: bool


def rise_in(wrong: Sequence[bool]) -> Rise:
    """Find the likeliest rise. Time linear in the outcomes."""
    total, count = sum(wrong), len(wrong)
    alike = _log_likelihood(total, count)
    best, place, before = alike, 0, 0
    for size, outcome in enumerate(wrong[:-1], start=1):
        before += outcome
        after, rest = total - before, count - size
        if after * size <= before * rest:
            continue
        likelihood = _log_likelihood(before, size) + _log_likelihood(after, rest)
        if likelihood > best:
            best, place = likelihood, size
    return Rise(place=place, sure=place > 0 and best - alike >= math.log(count / ALPHA))


def _log_likelihood(wrong: int, count: int) -> float:
    """The logarithm of the chance of these outcomes under their own share."""
    return sum(part * math.log(part / count) for part in (wrong, count - wrong) if part)
