"""How often does the best candidate win a race, in two orders of the items? ``python -m tests.bench.races``.

Nine candidates: one mends half of the incumbent's mistakes and breaks 5% of its right answers, the others mend up to a
fifth and break up to 30%. Simulated outcomes on 40 items.
"""

import math
import random
from collections.abc import Sequence

from optimizer.distillation.selection.race import FIRST_ITEMS
from optimizer.distillation.selection.telling import telling_order

ITEMS, CANDIDATES, RACES = 40, 9, 4000


def winner(order: Sequence[int], results: Sequence[Sequence[bool]]) -> int:
    """Return the winner of a race: half of the candidates drop out after 6, 12, 24, ... items."""
    alive, done = list(range(len(results))), 0
    while True:
        done = len(order) if len(alive) == 1 else min(len(order), max(FIRST_ITEMS, 2 * done))
        ranked = sorted(alive, key=lambda racer: -sum(results[racer][item] for item in order[:done]))
        if done == len(order):
            return ranked[0]
        alive = ranked[: math.ceil(len(ranked) / 2)]


def race(randomness: random.Random, accuracy: float) -> tuple[bool, bool]:
    """Return whether the best candidate wins in the items' own order, and in the telling one."""
    before = [randomness.random() < accuracy for _ in range(ITEMS)]
    results, gains = [], []
    for number in range(CANDIDATES):
        mends = 0.5 if number == 0 else randomness.choice([0, 0.05, 0.1, 0.2])
        breaks = 0.05 if number == 0 else randomness.choice([0, 0.05, 0.1, 0.3])
        results.append([randomness.random() >= breaks if right else randomness.random() < mends for right in before])
        gains.append((1 - accuracy) * mends - accuracy * breaks)
    places = randomness.sample(range(CANDIDATES), CANDIDATES)
    best = max(range(CANDIDATES), key=gains.__getitem__)
    shuffled = [results[place] for place in places]
    orders = (range(ITEMS), telling_order(range(ITEMS), before))
    first, second = (places[winner(order, shuffled)] == best for order in orders)
    return first, second


def main() -> None:
    for accuracy in (0.2, 0.5, 0.8, 0.9):
        randomness = random.Random(3)
        won = [race(randomness, accuracy) for _ in range(RACES)]
        own, telling = (sum(column) / RACES for column in zip(*won, strict=True))
        line = f"incumbent at {accuracy:.0%}: the best candidate wins {own:.0%} in own order, {telling:.0%} in telling"
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
