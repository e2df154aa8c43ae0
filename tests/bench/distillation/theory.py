"""What can be computed rather than simulated: how often the gate adopts a null change, and how much any gate can find.

All pairs are independent: an item is fixed, broken or left alone with fixed chances. Draws nothing and prints nothing.
"""

import bisect
import functools

import numpy as np
import numpy.typing as npt
from scipy import signal, special

from optimizer.statistics.paired_test import Gate
from tests.bench.distillation.rules import MARGIN, finding

Chances = npt.NDArray[np.float64]
Region = npt.NDArray[np.bool_]


def trinomial(n: int, fixed: float, broken: float) -> Chances:
    """The chance of every (number fixed, number broken) among ``n`` items."""
    f, b = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    same = np.maximum(n - f - b, 0)
    ways = special.gammaln(n + 1) - special.gammaln(f + 1) - special.gammaln(b + 1) - special.gammaln(same + 1)
    logs = ways + special.xlogy(f, fixed) + special.xlogy(b, broken)
    logs = logs + special.xlogy(same, max(0.0, 1 - fixed - broken))
    return np.where(f + b <= n, np.exp(np.where(f + b <= n, logs, -np.inf)), 0.0)


@functools.cache
def regions(planned: int, futility: bool, look: int, upto: int) -> tuple[Region, Region]:
    """Which (number fixed, number broken) the gate adopts at a look, and which it goes on from.

    Found by bisection along each number of pairs that differ: more fixed is never worse.
    """
    adopts, goes_on = np.zeros((upto + 1, upto + 1), bool), np.zeros((upto + 1, upto + 1), bool)
    for discordant in range(upto + 1):

        def verdict(fixed: int, of: int = discordant) -> str | None:
            return finding(planned, futility, look, upto, fixed, of - fixed)

        fixed = range(discordant + 1)
        first = bisect.bisect_left(fixed, True, key=lambda count: verdict(count) in {None, "better"})
        enough = bisect.bisect_left(fixed, True, key=lambda count: verdict(count) == "better")
        for count in fixed[first:]:
            (adopts if count >= enough else goes_on)[count, discordant - count] = True
    return adopts, goes_on


def adoption_rate(planned: int, fixed: float, broken: float, *, futility: bool = True) -> float:
    """How often our gate adopts, looks included."""
    alive, seen, rate = np.ones((1, 1)), 0, 0.0
    for look, upto in enumerate(Gate(planned=planned, margin=MARGIN, futility=futility).looks(), start=1):
        alive = np.maximum(signal.fftconvolve(alive, trinomial(upto - seen, fixed, broken)), 0.0)
        adopts, goes_on = regions(planned, futility, look, upto)
        rate += float(alive[adopts].sum())
        alive, seen = np.where(goes_on, alive, 0.0), upto
    return rate


def most_that_can_be_found(n: int, fixed: float, broken: float, *, level: float = 0.05) -> float:
    """The highest chance to find a gain that a rule can have if it adopts at most 5% of nulls with as many differences.

    The Neyman-Pearson lemma: the (randomised) likelihood-ratio test of (fixed, broken) against their common mean on all
    ``n`` items. It knows the alternative, so a rule that must work for every alternative finds less.
    """
    alternative = trinomial(n, fixed, broken).ravel()
    null = trinomial(n, (fixed + broken) / 2, (fixed + broken) / 2).ravel()
    possible = null > 0
    alternative, null = alternative[possible], null[possible]
    order = np.argsort(-alternative / null)
    alternative, null = alternative[order], null[order]
    spent = np.cumsum(null)
    full = int(np.searchsorted(spent, level))
    left = level - (spent[full - 1] if full else 0.0)
    return float(alternative[:full].sum() + left / null[full] * alternative[full])


def chance_that_the_mean_goes_up(n: int, fixed: float, broken: float) -> float:
    """Exactly."""
    return float(np.tril(trinomial(n, fixed, broken), -1).sum())
