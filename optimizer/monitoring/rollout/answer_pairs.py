"""Pairs of answers: a labelled request, answered anew by both versions of a comparison, graded by the same label. Pure.

A pair shows more than two replies to different questions do: difficulty is the same for both. It does not depend on the
share of the conversations, so a trial need not grow to be measured. ``monitoring.shadow.pairs`` asks; this is the form
in which results wait in the store for the watch.
"""

import msgspec

from gateway.domain import Value
from gateway.store.notes import Note

KEPT = 500
"""Newest results in the note; the watch reads each within a few looks."""


class AnswerPair(Value, frozen=True, array_like=True):
    """The result for one labelled exchange."""

    number: int
    """Results are numbered from 1 on, per task."""
    unit: str
    """The conversation."""
    at: float
    """Time of the result, in seconds since the epoch."""
    version: int
    """The challenger's rule set."""
    against: int | None
    """The other rule set; ``None`` for no rules."""
    on_challenger: bool
    """The label was given for a reply of the challenger."""
    at_random: bool
    """The label was asked for whatever the outcome was; otherwise a client gave it of its own accord."""
    difference: int | None = None
    """1: the challenger alone was wrong; -1: the other alone; 0: no difference; ``None``: no answers to compare."""
    key: str | None = None
    """The key that sent the label."""
    by_model: bool = False
    """The label is another model's answer: the pair tells of agreement with it."""
    equal: int = 0
    """Requests with equal answers of both versions that count along: they differ in nothing, whatever their label."""


class PairBook(Value, frozen=True):
    """The results of a task, and the position among its judgements."""

    position: int | None = None
    """See ``Store.judged``."""
    number: int = 0
    """Results so far."""
    pairs: tuple[AnswerPair, ...] = ()
    live: str = ""
    """The live comparison under way, and its day."""
    spent: int = 0
    """Calls of that comparison on that day."""

    def newer(self, number: int) -> tuple[AnswerPair, ...]:
        """Return the results behind a number."""
        return tuple(pair for pair in self.pairs if pair.number > number)

    def with_pair(self, pair: AnswerPair) -> "PairBook":
        """Return the book with a result more, under the next number."""
        numbered = msgspec.structs.replace(pair, number=self.number + 1)
        return msgspec.structs.replace(self, number=self.number + 1, pairs=(*self.pairs, numbered)[-KEPT:])


PAIRS = Note("pairs", PairBook)
