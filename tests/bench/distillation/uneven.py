"""Conversations of uneven length: 250 items in clusters of very different sizes.

The gate takes a conversation as one observation. Where long conversations lose what short ones gain, the sum over all
items is nothing, and still most conversations gain.
"""

import random
from collections.abc import Callable
from typing import Final

from tests.bench.distillation.replay import OTHERS, Table, ours, outcome, percent

ITEMS: Final = 250
LONG: Final = 5
"""Items from which on a cluster is long."""


def geometric(dice: random.Random) -> int:
    """Five on average."""
    size = 1
    while dice.random() < 0.8:
        size += 1
    return size


def some_of_twenty(dice: random.Random) -> int:
    """One in ten clusters has twenty items, the others have one."""
    return 20 if dice.random() < 0.1 else 1


SIZES: Final[dict[str, Callable[[random.Random], int]]] = {
    "5 on average": geometric, "1, and 20 in one of ten": some_of_twenty,
}  # fmt: skip


def cell(runs: int, seed: int, name: str, alike: float, change: float, tilt: float) -> list[object]:
    """Adopted in percent; items in long clusters lose ``tilt``, the others gain as much in all."""
    dice = random.Random(f"{seed} {name} {alike} {change} {tilt}")
    sizes = [SIZES[name](dice) for _ in range(20_000)]
    long = sum(size for size in sizes if size >= LONG) / sum(sizes)
    mine, theirs = 0, dict.fromkeys(OTHERS, 0)
    for _ in range(runs):
        clusters, left = list[list[float]](), ITEMS
        while left > 0:
            size = SIZES[name](dice)
            mean = change + (-tilt if size >= LONG else tilt * long / (1 - long))
            clusters.append(_cluster(dice, min(size, left), alike, mean))
            left -= size
        dice.shuffle(clusters)
        moved = [(place, value) for place, cluster in enumerate(clusters) for value in cluster]
        mine += ours([outcome(place, value) for place, value in moved]).better
        for rule, adopts in OTHERS.items():
            theirs[rule] += adopts([value for _, value in moved])
    return [name, f"{alike:.0%}", f"{100 * change:+.0f}", f"{100 * tilt:.0f} points", percent(mine, runs),
            *(percent(count, runs) for count in theirs.values())]  # fmt: skip


def _cluster(dice: random.Random, size: int, alike: float, mean: float) -> list[float]:
    shared, differ = dice.random(), max(0.2, abs(mean))
    lucks = [shared if dice.random() < alike else dice.random() for _ in range(size)]
    fixed, broken = (differ + mean) / 2, (differ - mean) / 2
    return [1.0 if luck < fixed else -1.0 if luck > 1 - broken else 0.0 for luck in lucks]


UNEVEN = Table(
    ["cluster", "alike", "truth", "long ones lose", "ours", *OTHERS],
    [(name, alike, change, tilt) for name in SIZES for alike in (0.4, 1.0)
     for change, tilt in ((0.0, 0.0), (0.0, 0.03), (0.0, 0.1), (0.1, 0.0))],
    cell,
)  # fmt: skip
