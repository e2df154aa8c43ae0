"""What is replayed: comparisons of two prompts whose true difference is known, item by item.

``synthetic`` cases are drawn from chances; ``recorded`` ones from the recorded replies of a model to the same items,
asked with two prompts. Decides nothing.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from tests.bench.distillation.rules import Differences

Randomness = np.random.Generator
CHURN: Final = 0.1
"""Share of the incumbent's right answers that a candidate with a true gain breaks (recorded tasks: median 0.15)."""


class Case(NamedTuple):
    """One comparison: its kind (the column that it counts in), its name, and the chances that an item differs."""

    kind: str
    name: str
    fixed: float
    broken: float
    draw: Callable[[Randomness, int, int], Differences]
    """(randomness, comparisons, items in each) -> differences."""

    @property
    def change(self) -> float:
        """The true change in accuracy."""
        return self.fixed - self.broken


class Task(NamedTuple):
    """Recorded differences between two prompts on every item of a task: chain of thought against direct."""

    name: str
    direct: float
    """Accuracy of the direct prompt."""
    differences: Differences

    @property
    def fixed(self) -> float:
        return float((self.differences > 0).mean())

    @property
    def broken(self) -> float:
        return float((self.differences < 0).mean())


def from_chances(kind: str, name: str, fixed: float, broken: float) -> Case:
    def draw(randomness: Randomness, comparisons: int, n: int) -> Differences:
        chance = randomness.random((comparisons, n), dtype=np.float32)
        return (chance < fixed).astype(np.int8) - ((chance >= fixed) & (chance < fixed + broken)).astype(np.int8)

    return Case(kind, name, fixed, broken, draw)


def synthetic() -> list[Case]:
    """A loss of 4 points and no change, at three shares of pairs that differ; gains at three accuracies."""
    cases = []
    for share in (0.1, 0.2, 0.3):
        cases.append(from_chances("loss of 4", f"{share:.0%} differ", (share - 0.04) / 2, (share + 0.04) / 2))
        cases.append(from_chances("null", f"{share:.0%} differ", share / 2, share / 2))
    for points in (5, 10, 15, 20):
        for base in (0.2, 0.5, 0.8):
            gain = points / 100
            broken = min(CHURN * base, 1 - base - gain)
            cases.append(from_chances(f"gain of {points}", f"from {base:.0%}", gain + broken, broken))
    return cases


def read(file: Path) -> list[Task]:
    """The recorded tasks, in the order of their names."""
    rows: dict[str, list[tuple[bool, bool]]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            rows.setdefault(row["task"], []).append((row["direct_correct"], row["cot_correct"]))
    tasks = []
    for name, pairs in sorted(rows.items()):
        direct, thought = np.array(pairs, np.int8).T
        tasks.append(Task(name, float(direct.mean()), thought - direct))
    return tasks


def recorded(tasks: list[Task]) -> list[Case]:
    """Every task in both directions and as a null, its items drawn with replacement.

    So the recorded task is the population, and its recorded difference is the truth. The null: for every drawn item a
    coin decides which of its two recorded outcomes is the incumbent's. Both arms are then the same mixture of two
    prompts, equally good on every item, and differ on as many items as the two prompts did.
    """
    cases = []
    for task in tasks:
        for name, sign in ((f"{task.name}: to chain of thought", 1), (f"{task.name}: to direct", -1)):
            fixed, broken = (task.fixed, task.broken) if sign > 0 else (task.broken, task.fixed)
            kind = "gain" if fixed > broken else "loss"
            size = "10 or more" if abs(fixed - broken) >= 0.0999 else "under 10"
            cases.append(Case(f"{kind} of {size}", name, fixed, broken, resampled(task, sign)))
        half = (task.fixed + task.broken) / 2
        cases.append(Case("null", f"{task.name}: labels swapped at random", half, half, resampled(task, 0)))
    return cases


def resampled(task: Task, sign: int) -> Callable[[Randomness, int, int], Differences]:
    """Bootstrap of a task's items; with sign 0 every item's sign is a coin's."""

    def draw(randomness: Randomness, comparisons: int, n: int) -> Differences:
        drawn = task.differences[randomness.integers(len(task.differences), size=(comparisons, n))]
        coins = randomness.integers(2, size=drawn.shape, dtype=np.int8) * 2 - 1 if sign == 0 else np.int8(sign)
        return np.asarray(drawn * coins, np.int8)

    return draw


def reordered(task: Task, randomness: Randomness, comparisons: int) -> Differences:
    """All items of a task, each once, in as many random orders."""
    return randomness.permuted(np.tile(task.differences, (comparisons, 1)), axis=1)
