"""The group guard: no class, tenant, language or length group may lose for the gain of all.

A total can rise while one class falls from 60% to 0. So the gate's items are looked at group by group: a change is
refused if a group lost more than the allowed amount and the loss is no luck (exact one-sided p at most 5%). A small
group shows large losses only, so the guard also says the smallest loss in its reach. Proves no gain, names no group.
"""

from collections.abc import Sequence

from gateway.domain import Value
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.paired_test import LEVEL, smallest_detectable

LEAST_ITEMS = 5
"""Items without which a group is not looked at: five broken ones are the fewest with a p-value of at most 5%."""


class GroupChange(Value, frozen=True):
    """The change within one group."""

    group: str
    n: int
    before: float
    """Accuracy, 0..1."""
    after: float
    p_worse: float
    """Exact one-sided p-value of a loss."""
    detectable: float
    """The smallest loss (0..1) that these items show with 80% power; 1.0 if none."""
    harmed: bool

    @property
    def change(self) -> float:
        return self.after - self.before


def group_changes(
    outcomes: Sequence[PairedOutcome], groups: Sequence[Sequence[str]], *, allowed: float
) -> tuple[GroupChange, ...]:
    """Return the change in each group of at least ``LEAST_ITEMS`` items, the largest loss first.

    ``groups`` names the groups of each outcome. A group is harmed by a loss above ``allowed`` (0..1) that is no luck.
    """
    members: dict[str, list[PairedOutcome]] = {}
    for outcome, names in zip(outcomes, groups, strict=True):
        for name in names:
            members.setdefault(name, []).append(outcome)
    changes = [_change(name, some, allowed) for name, some in members.items() if len(some) >= LEAST_ITEMS]
    return tuple(sorted(changes, key=lambda group: (group.change, group.group)))


def blindest(changes: Sequence[GroupChange]) -> GroupChange | None:
    """Return the group in which only the largest loss would have been seen; ``None`` without groups."""
    return max(changes, key=lambda group: group.detectable, default=None)


def _change(name: str, members: Sequence[PairedOutcome], allowed: float) -> GroupChange:
    sample = PairedSample(outcomes=tuple(members))
    weight, p_worse = sample.weight, sample.p_worse
    before = sum(outcome.weight * outcome.before for outcome in members) / weight if weight else 0.0
    return GroupChange(
        group=name,
        n=sample.n,
        before=before,
        after=before + sample.change,
        p_worse=p_worse,
        detectable=smallest_detectable(sample.clusters),
        harmed=-sample.change > allowed and p_worse <= LEVEL,
    )
