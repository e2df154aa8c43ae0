"""How often does the search keep the better of two parts? ``python -m tests.bench.distillation.near_ties``.

Simulated outcomes on each item, seeded: both parts right, one of them, or none, with the shares of a recorded task.
Before, the selection items decided alone; now the engine's own rule (``race.is_near``) adds items from the reserve
while the parts are near each other. The gate comes later and is not simulated.
"""

import random
from collections.abc import Iterator

from gateway.domain import Value
from optimizer.distillation.selection.race import is_near

SEED, RUNS = 20261129, 20_000


class Rivals(Value, frozen=True):
    """Two parts: the shares of items with one of them right alone, the better one first; the rest tells nothing."""

    name: str
    better: float
    worse: float


CASES = (
    Rivals(name="bank12: worksheet 80%, examples 56%", better=0.36, worse=0.12),
    Rivals(name="15 points apart", better=0.275, worse=0.125),
    Rivals(name="8 points apart", better=0.19, worse=0.11),
)


def outcomes(rivals: Rivals, randomness: random.Random) -> Iterator[int]:
    """Yield 1 where the better part alone is right, -1 where the worse one is, 0 for the others."""
    while True:
        drawn = randomness.random()
        yield 1 if drawn < rivals.better else -1 if drawn < rivals.better + rivals.worse else 0


def kept(rivals: Rivals, items: int, reserve: int, randomness: random.Random) -> tuple[bool, int]:
    """Return whether the better part is kept, and the number of items; at a tie the worse one came first."""
    source, seen = outcomes(rivals, randomness), list[int]()
    most = items + reserve
    more = items
    while more:
        seen += [next(source) for _ in range(more)]
        more = min(len(seen), most - len(seen)) if is_near(seen) else 0
    return sum(seen) > 0, len(seen)


def share(rivals: Rivals, items: int, reserve: int, *, runs: int = RUNS) -> tuple[float, float]:
    """Return the share of searches with the better part, and the items they took."""
    randomness = random.Random(SEED)
    searches = [kept(rivals, items, reserve, randomness) for _ in range(runs)]
    return sum(right for right, _ in searches) / runs, sum(count for _, count in searches) / runs


def main() -> None:
    for rivals in CASES:
        for items, reserve in ((20, 40), (40, 40), (40, 120)):
            before, _ = share(rivals, items, 0)
            now, used = share(rivals, items, reserve)
            line = f"{rivals.name}: {items} items {before:.0%}, with {reserve} in reserve {now:.0%} on {used:.0f}"
            print(line)  # noqa: T201


if __name__ == "__main__":
    main()
