"""Amounts of two arms, such as milliseconds: does the challenger's median exceed the incumbent's by more than a ratio?

A sign test of medians, block by block, that may be looked at after every amount. A block ends as soon as it holds an
amount of each arm. Of two equal arms, whatever their distribution, either median is larger in half of the blocks; ties
speak for the challenger. The test sees what happens to the typical reply, not to a slow tenth of them. Its state is a
few numbers, however long it runs.
"""

import math
import statistics
from collections.abc import Sequence

from gateway.domain import Value
from optimizer.statistics.e_process import log_e_value

WAITING = 400
"""Newest amounts of an arm that wait for one of the other arm."""


class MedianTest(Value, frozen=True):
    """The state of a test against "the challenger's amounts are at most ``ratio`` times the incumbent's"."""

    ratio: float
    blocks: int = 0
    exceeded: int = 0
    """Blocks in which the challenger's median was larger than ``ratio`` times the incumbent's."""
    worst: float = 0.0
    """The largest logarithm of the e-value, of all looks."""
    challenger: tuple[float, ...] = ()
    incumbent: tuple[float, ...] = ()
    """Amounts of the block under way."""

    def after(self, challenger: bool, amount: float) -> "MedianTest":
        """Return the state after one more amount."""
        mine = (*self.challenger, amount)[-WAITING:] if challenger else self.challenger
        theirs = self.incumbent if challenger else (*self.incumbent, amount)[-WAITING:]
        if not mine or not theirs:
            return MedianTest(
                ratio=self.ratio, blocks=self.blocks, exceeded=self.exceeded, worst=self.worst, challenger=mine,
                incumbent=theirs,
            )  # fmt: skip
        blocks, exceeded = self.blocks + 1, self.exceeded + (_middle(mine) > self.ratio * _middle(theirs))
        worst = max(self.worst, log_e_value(exceeded, blocks - exceeded, 0.5))
        return MedianTest(ratio=self.ratio, blocks=blocks, exceeded=exceeded, worst=worst)

    @property
    def e_value(self) -> float:
        """The largest e-value of all looks; cut off at e^700."""
        return math.exp(min(self.worst, 700.0))


def _middle(amounts: Sequence[float]) -> float:
    """Return the median of an odd number of amounts, without the oldest if need be: only then is it fair to both."""
    return statistics.median(amounts[1 - len(amounts) % 2 :])
