"""Lenses: the questions put to a strong model about a weak model's mistakes, chosen by the look of the mistakes.

A word problem needs advice on how to work; a routing task needs the conventions behind its answers. Asked for
advice on such a task, a frontier model wrote 12 rules and none helped; asked for ``conventions``, it explained 60 of
60 records. Does not call a model.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from gateway.domain import Value
from optimizer.dataset.items import Item, Mistake
from optimizer.dataset.recorded_request import read_request
from optimizer.grading.graders.ungradable import text_of

Lens = Literal["conventions", "boundary", "procedure", "tools"]
"""The prompt file of a question: conventions behind answers, pairs of confused answers, ways of working, tool use."""

LABELS_MOST = 100
"""Distinct answers of a task with a closed set of answers."""
REPEATS = 3
"""Items per distinct answer, on average, in a closed set of answers."""
CONFUSED = 2
"""Mistakes with the same right and the same given answer, needed for a confusion."""


class Confusion(Value, frozen=True):
    """A right answer, the answer that was given in its place, and how often."""

    expected: str
    given: str
    count: int


def lenses(mistakes: Sequence[Mistake], items: Sequence[Item], listed: Sequence[str] = ()) -> tuple[Lens, ...]:
    """Choose the lenses for mistakes out of ``items``, the most telling first."""
    if not mistakes:
        return ("procedure",)
    if 2 * sum(bool(read_request(mistake.request).tools) for mistake in mistakes) > len(mistakes):
        return ("tools",)
    answers = [item.expected for item in items] or [
        mistake.expected for mistake in mistakes if mistake.expected is not None
    ]
    if labels(answers, listed):
        return ("conventions", "boundary") if confusions(mistakes) else ("conventions",)
    if answers and all(_is_number(answer) for answer in answers):
        return ("procedure",)
    return ("conventions", "procedure")


def labels(answers: Sequence[Any], listed: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the labels of a closed set of answers, the most frequent first; empty for an open set.

    The labels that an operator ``listed`` are a closed set, however seldom each is an answer.
    """
    counts = Counter(text_of(answer).strip() for answer in answers if answer is not None)
    total = counts.total()
    if own := {label.strip(): counts[label.strip()] for label in listed if label.strip()}:
        return tuple(sorted(own, key=lambda label: -own[label]))
    if len(counts) < 2 or len(counts) > LABELS_MOST or total < REPEATS * len(counts):
        return ()
    return tuple(label for label, _ in counts.most_common())


def confusions(mistakes: Sequence[Mistake]) -> tuple[Confusion, ...]:
    """Count which answers were given in place of which right ones, the most frequent first."""
    counts = Counter(
        (text_of(mistake.expected).strip(), mistake.reply.strip())
        for mistake in mistakes
        if mistake.expected is not None
    )
    return tuple(
        Confusion(expected=expected, given=given, count=count)
        for (expected, given), count in counts.most_common()
        if count >= CONFUSED
    )


def _is_number(answer: Any) -> bool:
    if isinstance(answer, bool):
        return False
    if isinstance(answer, int | float):
        return True
    text = text_of(answer).strip().replace(",", "")
    return text.lstrip("+-").replace(".", "", 1).isdigit()
