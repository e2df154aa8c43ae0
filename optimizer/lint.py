"""What no rule may hold, whatever it might gain: rules go into a system prompt, and user text shaped them.

A rule that quotes users would leak one user's text to all others; one that carries an instruction, a link or a secret
may have been planted in the text that the strong model read. Does not judge whether a rule helps: the gate does.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.domain import Value

MIN_LENGTH = 8  # characters
MAX_LENGTH = 300  # characters
QUOTE_WORDS = 6
"""A run of so many words that occurs in a user's text is a quote."""
_FIGURE_WORDS = 4  # a run of so many words, two of them with digits, is one too
_LONG_NUMBER = 4  # digits

_FORBIDDEN = {
    "holds a link or an address": r"https?:|\bwww\.|\b[\w.-]+@[\w-]+\.|\b[\w-]+\.(?:com|org|net|io|dev)\b",
    "holds what looks like a secret": (
        r"\b(?:sk|pk|ghp|xox[bp])[-_]\w{6,}|\bbearer\s+\S{8,}"
        r"|\b(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])[\w+/=-]{20,}"
    ),
    "tells the model to ignore what it was told": (
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
        r"\b(?:above|previous|prior|earlier|preceding|instructions?|system|prompt|rules?|everything)\b"
    ),
    "holds the mark of a role or a tag": (
        r"(?:^|\s)(?:system|user|assistant|developer)\s*:|<\|?[/\w]+\|?>|\[/?INST\]|^#{2,}\s"
    ),
    "holds a code fence": r"```|~~~",
}
_PATTERNS = [(why, re.compile(pattern, re.IGNORECASE)) for why, pattern in _FORBIDDEN.items()]
_WORD = re.compile(r"\w+(?:['\u2019.,]\w+)*")


class Corpus(Value, frozen=True):
    """What users wrote, as it must not come back in a rule."""

    quotes: frozenset[tuple[str, ...]]
    figures: frozenset[tuple[str, ...]]
    numbers: frozenset[str]
    answers: frozenset[str]


def corpus(texts: Sequence[str], answers: Sequence[str]) -> Corpus:
    """Index users' texts (one per item) and expected answers.

    A run of words that stands in more than half of the texts is the operator's template, and an answer that more than
    a tenth of the items share is a class label: neither gives anyone away.
    """
    quotes: Counter[tuple[str, ...]] = Counter()
    figures: set[tuple[str, ...]] = set()
    numbers: Counter[str] = Counter()
    for text in texts:
        words = _words(text)
        quotes.update(set(_runs(words, QUOTE_WORDS)))
        figures.update(run for run in _runs(words, _FIGURE_WORDS) if _is_figures(run))
        numbers.update({word for word in words if _is_long_number(word)})
    often = max(1, len(texts) // 2)
    labels = Counter(" ".join(_words(answer)) for answer in answers)
    return Corpus(
        quotes=frozenset(run for run, count in quotes.items() if count <= often),
        figures=frozenset(figures),
        numbers=frozenset(word for word, count in numbers.items() if count <= often),
        answers=frozenset(
            label for label, count in labels.items() if len(label) > 1 and count <= max(1, len(answers) // 10)
        ),
    )


def problems(rule: str, known: Corpus) -> list[str]:
    """Every reason why a rule must not be used; none if it may be tried."""
    found = []
    if not MIN_LENGTH <= len(rule) <= MAX_LENGTH:
        found.append(f"has {len(rule)} characters, not {MIN_LENGTH} to {MAX_LENGTH}")
    if not _is_text(rule):
        found.append("is not a readable sentence")
    found += [why for why, pattern in _PATTERNS if pattern.search(rule)]
    words = _words(rule)
    if (
        any(run in known.quotes for run in _runs(words, QUOTE_WORDS))
        or any(run in known.figures for run in _runs(words, _FIGURE_WORDS))
        or any(word in known.numbers for word in words)
    ):
        found.append("quotes the text of a question")
    spaced = f" {' '.join(words)} "
    if any(f" {answer} " in spaced for answer in known.answers):
        found.append("holds the expected answer of a question")
    return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: Sequence[str], length: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(length)), strict=False)


def _is_figures(run: Sequence[str]) -> bool:
    return sum(any(letter.isdigit() for letter in word) for word in run) >= 2


def _is_long_number(word: str) -> bool:
    return sum(letter.isdigit() for letter in word) >= _LONG_NUMBER


def _is_text(rule: str) -> bool:
    """Mostly letters, printable, and not the same few words over and over."""
    solid = [letter for letter in rule if not letter.isspace()]
    words = _words(rule)
    looping = len(words) >= 8 and len(set(words)) < 0.4 * len(words)
    return rule.isprintable() and sum(map(str.isalpha, solid)) >= 0.6 * len(solid) and not looping
