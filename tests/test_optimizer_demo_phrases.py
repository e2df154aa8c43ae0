"""The phrases of the demo: different, repeatable, and written by one convention each."""

import re
from itertools import islice

import pytest

from optimizer.demo.phrases import phrases, spoken

WRITTEN = re.compile(r"(EUR|USD|CHF) \d{1,2}\.00|D\d\d-M\d\d|W[1-7]/\d\dh|\d{1,2}x(PAL|BOX|CRT|DRM)")


def test_phrases_differ_and_follow_the_conventions() -> None:
    """Four kinds in turn; the same seed gives the same phrases."""
    made = list(islice(phrases(7), 300))
    assert len({phrase.question for phrase in made}) == 300
    assert all(WRITTEN.fullmatch(str(phrase.answer)) for phrase in made)
    assert made == list(islice(phrases(7), 300)) != list(islice(phrases(8), 300))


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (9, "nine"), (19, "nineteen"), (20, "twenty"), (53, "fifty three"), (99, "ninety nine")],
)
def test_numbers_are_spoken_in_english(number: int, words: str) -> None:
    """Below a hundred."""
    assert spoken(number) == words
