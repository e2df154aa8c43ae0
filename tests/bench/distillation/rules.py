"""Acceptance rules: ours, as it decides in earnest, and the field's, on many replayed comparisons at once.

A comparison is a row of differences, one an item in the order in which the items are seen: +1 only the candidate was
right, -1 only the incumbent was, 0 no difference. A rule answers, for every row, whether it adopts the candidate and
how many items it looked at. Draws nothing and prints nothing.
"""

import functools
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from optimizer.statistics.paired_test import Gate, Pairs

Differences = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]
Decisions = tuple[npt.NDArray[np.bool_], Counts]
Rule = Callable[[Differences], Decisions]

MARGIN: Final = 0.05
CAPO_ALPHA: Final = 0.2
CAPO_BLOCK: Final = 30
GEPA_MINIBATCH: Final = 3


def preceptor(differences: Differences, *, futility: bool = True) -> Decisions:
    """Our gate, look by look as ``gate.confirm`` asks it; every finding is ``gate.accept``'s own."""
    rows, planned = differences.shape
    adopted, items = np.zeros(rows, bool), np.zeros(rows, np.int64)
    running = np.arange(rows)
    for look, upto in enumerate(Gate(planned=planned, margin=MARGIN, futility=futility).looks(), start=1):
        seen = differences[running, :upto]
        pairs = np.stack([(seen > 0).sum(axis=1), (seen < 0).sum(axis=1)], axis=1)
        distinct, which = np.unique(pairs, axis=0, return_inverse=True)
        findings = [finding(planned, futility, look, upto, int(fixed), int(broken)) for fixed, broken in distinct]
        ends = np.array([verdict is not None for verdict in findings])[which.ravel()]
        better = np.array([verdict == "better" for verdict in findings])[which.ravel()]
        adopted[running], items[running] = better, upto
        running = running[~ends]
        if not len(running):
            break
    return adopted, items


@functools.cache
def finding(planned: int, futility: bool, look: int, upto: int, fixed: int, broken: int) -> str | None:
    """The verdict at a look. Items without a difference count as right twice: they never decide what is *better*."""
    gate = Gate(planned=planned, margin=MARGIN, futility=futility)
    found = gate.judge(look, Pairs(both=upto - fixed - broken, fixed=fixed, broken=broken))
    return None if found is None else found.verdict


def mean_went_up(differences: Differences) -> Decisions:
    """More items right than before, on all items."""
    return differences.sum(axis=1, dtype=np.int64) > 0, everything(differences)


def gepa_minibatch(differences: Differences) -> Decisions:
    """What admits a candidate to gepa's pool: a strictly higher sum of scores on a minibatch, three items by default.

    gepa 0.1: ``reflection_minibatch_size`` and ``StrictImprovementAcceptance``. Its candidates may see the same three
    items; here, kinder to it, they are fresh.
    """
    adopted, _ = mean_went_up(differences[:, :GEPA_MINIBATCH])
    return adopted, np.full(len(adopted), GEPA_MINIBATCH)


def gepa_whole(differences: Differences) -> Decisions:
    """The minibatch, and then what gepa returns: the program with the highest mean on the validation set."""
    admitted, few = gepa_minibatch(differences)
    better, every = mean_went_up(differences)
    return admitted & better, np.where(admitted, every, few)


def paired_t(differences: Differences) -> Decisions:
    """One-sided paired t-test at 0.2 on all items: CAPO's ``paired_t_test``, asked once."""
    return t_says(differences) > 0, everything(differences)


def capo_race(differences: Differences) -> Decisions:
    """CAPO's race between two: that test after every block of 30 items, in both directions; what is left, by the mean.

    arXiv 2504.16005 (alpha 0.2, blocks of 30, at most ten). Its penalty for long prompts is left out.
    """
    rows, n = differences.shape
    adopted, items = np.zeros(rows, bool), np.zeros(rows, np.int64)
    running = np.arange(rows)
    for upto in range(CAPO_BLOCK, n + 1, CAPO_BLOCK):
        says = t_says(differences[running, :upto])
        adopted[running], items[running] = says > 0, upto
        running = running[says == 0]
    adopted[running], items[running] = mean_went_up(differences[running])
    return adopted, items


def t_says(differences: Differences) -> Counts:
    """+1 where the candidate is significantly better at CAPO's level, -1 where the incumbent is, 0 otherwise."""
    n = differences.shape[1]
    total, squares = differences.sum(axis=1, dtype=np.int64), np.abs(differences).sum(axis=1, dtype=np.int64)
    # t >= c, multiplied out so that rows without variance need no division
    variance = (squares - total**2 / n) / (n - 1)
    significant = np.abs(total) > stats.t.isf(CAPO_ALPHA, n - 1) * np.sqrt(np.maximum(variance, 0) * n)
    return np.where(significant, np.sign(total), 0)


def everything(differences: Differences) -> Counts:
    return np.full(len(differences), differences.shape[1])


RULES: Final[dict[str, Rule]] = {
    "ours": preceptor,
    "ours, never stopped for futility": functools.partial(preceptor, futility=False),
    "mean went up": mean_went_up,
    "better on 3 items (gepa's minibatch)": gepa_minibatch,
    "better on 3 items, then mean (gepa)": gepa_whole,
    "paired t at 0.2": paired_t,
    "race by paired t at 0.2 (CAPO)": capo_race,
}
