"""A candidate without a verdict, carried on with new items instead of starting again at a stricter level.

At 100 items a true gain of 10 points passes a strict test in 30% of cases, at 400 together in 97%. A candidate that was
ahead therefore keeps its items, its level and its place; the next cycle only adds what has been audited since. Decides
nothing: ``paired_test.Gate`` judges, ``alpha_spending`` says how much of the level each stage may take.
"""

from collections.abc import Sequence

from gateway.domain import RuleSet, Value
from optimizer.dataset.items import Item
from optimizer.statistics.adjusted_gain import LookState
from optimizer.statistics.alpha_spending import PROMISING, STAGES
from optimizer.statistics.paired_test import MINIMUM

WAITS_S = 30 * 86400.0
"""Seconds after which a candidate that waits for items is given up."""
_NEW_SHARE = 0.5  # of its items so far that must be new


class CarriedTest(Value, frozen=True):
    """One candidate between two stages of its test."""

    candidate: RuleSet
    incumbent: str
    """The hash of the rule set that it is compared with; empty for none."""
    begun: float
    """Seconds since the epoch."""
    stage: int
    """The next stage: 1, 2, ..."""
    level: float
    """Of the whole test."""
    items: tuple[Item, ...]
    """The items so far: their answers come from the cache."""
    known: tuple[str, ...]
    """Ids of all items of the cycle that wrote the candidate: they confirm nothing new."""
    looks: tuple[LookState, ...] = ()
    """The looks so far."""

    def new(self, items: Sequence[Item]) -> list[Item]:
        """Return the audited items that nobody has looked at for this candidate.

        An item that hangs together with a known one is left out, unless that one is a confirmation item.
        """
        confirming, known = {item.id for item in self.items}, set(self.known)
        tied = {item.unit for item in items if item.id in known and item.id not in confirming}
        return [
            item
            for item in items
            if item.is_audited and item.id not in known and item.id not in confirming and item.unit not in tied
        ]

    def needed(self) -> int:
        """Return the number of new items with which the test goes on."""
        return max(MINIMUM, round(_NEW_SHARE * len(self.items)))


def may_go_on(z: float, stage: int) -> bool:
    """Decide whether a candidate without a verdict after a stage is carried on."""
    return z >= PROMISING and stage + 1 < len(STAGES)
