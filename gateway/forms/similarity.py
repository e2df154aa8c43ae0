"""The most similar of a few thousand texts, in well under a millisecond and without a package for numbers.

Similarity is the cosine of tf-idf weights of character trigrams, over the ``TRIGRAMS`` heaviest of each text. A look-up
has two steps. First every trigram of the question votes for the texts with that trigram: they are the bits of an
integer, and operations on such integers add the votes up for all texts at once. Then the exact cosine is computed for
the few texts with the most votes. Measured in ``tests.bench.neighbours``.
"""

import heapq
import math
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import mul
from typing import TypeVar

T = TypeVar("T")

TRIGRAMS = 120
"""Trigrams that stand for a text."""
CHARACTERS = 1000
"""Characters at the beginning of a text that are compared."""
COMPARED = 24
"""Texts whose exact similarity is computed, about."""
_VOTES = 7
"""Votes of the heaviest trigram of a question."""
_LEVELS = 10
"""Bits of a count of votes: enough for ``TRIGRAMS`` times ``_VOTES``."""


class SimilarityIndex:
    """An index over texts, known by their positions. Slow to build (0.1-0.5 ms a text), never changed."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [_trigrams(text) for text in _yielding(texts)]
        shared = Counter(trigram for count in _yielding(counts) for trigram in count)
        self._rarity = {trigram: 1.0 + math.log((1 + len(texts)) / (1 + n)) for trigram, n in shared.items()}
        self._all = (1 << len(texts)) - 1
        self._trigrams: list[tuple[str, ...]] = []
        self._weights: list[array[float]] = []
        holders: dict[str, bytearray] = {}
        for position, count in enumerate(_yielding(counts)):
            vector = self._vector(count)
            self._trigrams.append(tuple(vector))
            self._weights.append(array("f", vector.values()))
            for trigram in vector:
                bits = holders.setdefault(trigram, bytearray())
                bits.extend(bytes(position // 8 + 1 - len(bits)))
                bits[position // 8] |= 1 << (position % 8)
        self._holders = {trigram: int.from_bytes(bits, "little") for trigram, bits in holders.items()}

    def nearest(self, text: str, count: int, *, among: int | None = None) -> list[int]:
        """Return the positions of the most similar texts, the best first; ``among`` has the bits of those allowed.

        Texts without any similarity fill the places that are left, the first ones first.
        """
        allowed = self._all if among is None else among
        question = self._vector(_trigrams(text))
        pool = self._elected(question, allowed, max(COMPARED, 2 * count)) if question else 0
        scored = [(-self._cosine(question, position), position) for position in _positions(pool)]
        best = [position for _, position in heapq.nsmallest(count, scored)]
        if len(best) < count:
            rest = _positions(allowed & ~pool)
            best += [position for position, _ in zip(rest, range(count - len(best)), strict=False)]
        return best

    def _vector(self, counts: Counter[str]) -> dict[str, float]:
        """Return the heaviest known trigrams of a text with their weights, scaled to length 1."""
        rarity = self._rarity
        weights = [
            ((1.0 + math.log(n)) * rarity[trigram] if n > 1 else rarity[trigram], trigram)
            for trigram, n in counts.items()
            if trigram in rarity
        ]
        if len(weights) > TRIGRAMS:
            weights = sorted(weights, reverse=True)[:TRIGRAMS]  # 4 times as fast as heapq.nlargest here
        length = math.sqrt(sum(weight * weight for weight, _ in weights))
        return {trigram: weight / length for weight, trigram in weights}

    def _elected(self, question: dict[str, float], allowed: int, wanted: int) -> int:
        """Return the bits of about ``wanted`` allowed texts with the most votes."""
        if allowed.bit_count() <= wanted:
            return allowed
        votes = [0] * _LEVELS  # the bits of each level, for all texts at once
        heaviest = max(question.values())
        for trigram, weight in question.items():
            # A rare trigram weighs much in the question and in the text alike, so its votes grow with the square.
            ballots = round(_VOTES * (weight / heaviest) ** 2) or 1
            level = 0
            while ballots:
                if ballots & 1:
                    _count(votes, self._holders.get(trigram, 0), level)
                ballots >>= 1
                level += 1
        sure, undecided = 0, allowed
        for level in reversed(votes):
            above = undecided & level
            if sure.bit_count() + above.bit_count() > wanted:
                undecided = above
            else:
                sure |= above
                undecided &= ~level
        room = max(0, wanted - sure.bit_count())
        return sure | sum(1 << position for position, _ in zip(_positions(undecided), range(room), strict=False))

    def _cosine(self, question: dict[str, float], position: int) -> float:
        shared = map(question.get, self._trigrams[position], repeat(0.0))
        return float(sum(map(mul, shared, self._weights[position])))


def _count(votes: list[int], bits: int, level: int) -> None:
    """Add 2 to the power of ``level`` to the counts of the texts with these bits."""
    while bits:
        before = votes[level]
        votes[level] = before ^ bits
        bits &= before
        level += 1


def _positions(bits: int) -> Iterable[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _trigrams(text: str) -> Counter[str]:
    folded = f" {' '.join(text[: 2 * CHARACTERS].casefold().split())[:CHARACTERS]} "
    return Counter(map("".join, zip(folded, folded[1:], folded[2:], strict=False)))


def _yielding(items: Sequence[T]) -> Iterable[T]:
    """Iterate, and let the other threads run after each item: an index is built beside the requests."""
    for item in items:
        yield item
        time.sleep(0)
