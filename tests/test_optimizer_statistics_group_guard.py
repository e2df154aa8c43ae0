"""The group guard: a class that pays for the gain of all is seen; a group too small to show a loss is named."""

import random

import pytest

from optimizer.statistics.cluster_sums import PairedOutcome
from optimizer.statistics.group_guard import LEAST_ITEMS, blindest, group_changes
from optimizer.statistics.paired_test import smallest_detectable


def outcomes(*counts: tuple[str, int, int, int]) -> tuple[list[PairedOutcome], list[list[str]]]:
    """Items of groups: (name, fixed, broken, right twice)."""
    paired: list[PairedOutcome] = []
    groups: list[list[str]] = []
    for name, fixed, broken, right in counts:
        for before, after, count in ((0.0, 1.0, fixed), (1.0, 0.0, broken), (1.0, 1.0, right)):
            for _ in range(count):
                paired.append(PairedOutcome(cluster=str(len(paired)), before=before, after=after))
                groups.append([name, "all"])
    return paired, groups


def test_a_class_that_falls_from_sixty_percent_to_nothing_is_harmed_though_the_total_rises() -> None:
    """200 items, one class of 20 loses 12 of them, the others gain 40."""
    changes = group_changes(*outcomes(("rare", 0, 12, 0), ("other", 40, 0, 148)), allowed=0.05)
    worst = changes[0]
    assert worst.group == "rare" and worst.harmed and worst.after == 0.0 and worst.p_worse < 0.001
    assert [(group.group, group.harmed) for group in changes[1:]] == [("all", False), ("other", False)]


def test_a_loss_up_to_the_allowed_one_and_a_loss_by_luck_harm_nobody() -> None:
    """Six broken of a hundred are allowed at 9 points, not at 5; three of ten are no proof."""
    changes = group_changes(*outcomes(("large", 0, 6, 94), ("small", 0, 3, 7)), allowed=0.09)
    assert not any(group.harmed for group in changes)
    assert group_changes(*outcomes(("large", 0, 6, 94)), allowed=0.05)[0].harmed


def test_the_smallest_group_is_the_blindest_and_the_tiniest_is_not_looked_at() -> None:
    """What could not have been seen is said."""
    changes = group_changes(*outcomes(("a", 1, 0, 39), ("b", 0, 0, 7), ("c", 0, LEAST_ITEMS - 1, 0)), allowed=0.05)
    assert {group.group for group in changes} == {"a", "b", "all"}
    blind = blindest(changes)
    assert blind is not None and blind.group == "b" and blind.detectable == smallest_detectable(7)
    assert blindest(()) is None


@pytest.mark.parametrize("groups", [1, 10])
def test_a_change_that_helps_everybody_is_hardly_ever_refused(groups: int) -> None:
    """Seeded: 200 items, 15% fixed and 5% broken in every group."""
    randomness, refused, runs = random.Random(groups), 0, 200
    for _ in range(runs):
        drawn = [randomness.choices("fxr", (15, 5, 80), k=200 // groups) for _ in range(groups)]
        counted = [(str(at), some.count("f"), some.count("x"), some.count("r")) for at, some in enumerate(drawn)]
        refused += any(group.harmed for group in group_changes(*outcomes(*counted), allowed=0.05))
    assert refused / runs <= 0.02
