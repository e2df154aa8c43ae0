"""Which of thousands of phrases a text may hold, without a search for each of them.

Every phrase is filed under one of its pieces of eight characters, the one that the fewest others share; a text is cut
into its pieces once. Only narrows down: whether a phrase stands in the text, or its expression matches, is for the
caller to see. 10,000 phrases in a text of 500 characters: 0.05 ms instead of 7 ms, one search after another.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

PIECE = 8
"""Characters of a piece; shorter phrases cannot be filed."""

_PLAIN = re.compile(
    r"(?:\^|\\A|\\b)?((?:[^\\.^$*+?{}\[\]|()]|\\[^A-Za-z0-9])*)(?:\$|\\Z|\\b)?",
    re.DOTALL,
)


def phrase_of(expression: str) -> str | None:
    """The text that stands wherever a regular expression is found; ``None`` where that is not plain to see.

    It is plain where the expression is nothing but that text, escaped as ``re.escape`` does it, and bounded by ``^``,
    ``$``, ``\\A``, ``\\Z`` or ``\\b`` at most.
    """
    plain = _PLAIN.fullmatch(expression)
    return None if plain is None else re.sub(r"\\(.)", r"\1", plain[1], flags=re.DOTALL)


class Phrases:
    """Phrases of ``PIECE`` characters or more, known by their positions."""

    def __init__(self, phrases: Sequence[str]) -> None:
        shared = Counter(piece for phrase in phrases for piece in set(_pieces(phrase)))
        self._filed: defaultdict[str, list[int]] = defaultdict(list)
        for position, phrase in enumerate(phrases):
            self._filed[min(_pieces(phrase), key=shared.__getitem__)].append(position)

    def possible(self, text: str) -> list[int]:
        """The positions of all phrases that the text holds, and of some that it does not, in no order."""
        filed = self._filed
        found = {piece for start in range(len(text) - PIECE + 1) if (piece := text[start : start + PIECE]) in filed}
        return [position for piece in found for position in filed[piece]]


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(len(text) - PIECE + 1))
