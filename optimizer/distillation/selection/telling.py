"""The order of the items in a race: those that tell candidates apart come early.

Candidates differ mostly where the incumbent errs, and half of them drop out after six items. With an incumbent at 80%
those six hold a single mistake. So mistakes come early, two for each right answer: the right ones show harm. In
simulated races of nine candidates the best one wins in 73% instead of 55% with an incumbent at 80%, in 91% instead of
85% at 50%; more mistakes than that stay in their own order (``python -m tests.bench.races``). The last round is on all
items, so the ranking stays fair. Ranks nothing.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MISTAKES = 2
"""Mistakes for each right answer."""


def telling_order(items: Sequence[T], right: Sequence[bool]) -> list[T]:
    """Return the items with two mistakes of the incumbent before each right answer, both in their own order."""
    wrong = [item for item, is_right in zip(items, right, strict=True) if not is_right]
    good = [item for item, is_right in zip(items, right, strict=True) if is_right]
    if len(wrong) >= MISTAKES * len(good):
        return list(items)
    ordered: list[T] = []
    while wrong and good:
        ordered += [*wrong[:MISTAKES], good[0]]
        wrong, good = wrong[MISTAKES:], good[1:]
    return [*ordered, *wrong, *good]
