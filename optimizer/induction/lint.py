"""What no rule may hold, whatever it might gain: rules go into a system prompt, and user text shaped them.

A rule that quotes users would leak one user's text to all others; one that carries an instruction, a link or a secret
may have been planted in the text that the strong model read. Does not judge whether a rule helps: the gate does.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.domain import Value

MIN_LENGTH = 8  # characters
MAX_LENGTH = 300  # characters
QUOTE_WORDS = 6
"""A run of so many words that occurs in a user's text is a quote."""
_FIGURE_WORDS = 4  # a run of so many words, two of them with digits, is one too
_LONG_NUMBER = 4  # digits
_OWN_SCRIPT = "LATIN"  # of the prompt that asks for rules

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
    "holds a blank that nobody fills": r"\{\{?\s*\w+\s*\}|\$\{|%\(\w+\)s|\[(?:insert|your|name|answer|placeholder)\b",
    "speaks of its writer instead of to the model": (
        r"^(?:i(?:['\u2019](?:m|ve|ll|d))?\s|(?:sorry|unfortunately|as an ai|as a language model)\b)"
        r"|\bi (?:cannot|can['\u2019]t|am unable)\b"
    ),
}
_PATTERNS = [(why, re.compile(pattern, re.IGNORECASE)) for why, pattern in _FORBIDDEN.items()]
_WORD = re.compile(r"\w+(?:['\u2019.,]\w+)*")


class Corpus(Value, frozen=True):
    """What users wrote, as it must not come back in a rule."""

    quotes: frozenset[tuple[str, ...]]
    figures: frozenset[tuple[str, ...]]
    numbers: frozenset[str]
    answers: frozenset[str]
    tools: frozenset[str] = frozenset()
    """Names of the tools that requests offer."""
    scripts: frozenset[str] = frozenset()
    """The scripts in which requests are written, such as ``LATIN``; none if nothing is known of them."""


def corpus(texts: Sequence[str], answers: Sequence[str], *, tools: Iterable[str] = (), told: str = "") -> Corpus:
    """Index users' texts (one per item), expected answers, names of tools, and what the operator told the model.

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
        tools=frozenset(tools),
        scripts=_scripts(told).union(*map(_scripts, texts)),
    )


def problems(rule: str, known: Corpus) -> list[str]:
    """Every reason why a rule must not be used; none if it may be tried."""
    found = []
    if not MIN_LENGTH <= len(rule) <= MAX_LENGTH:
        found.append(f"has {len(rule)} characters, not {MIN_LENGTH} to {MAX_LENGTH}")
    if not _is_text(rule):
        found.append("is not a readable sentence")
    found += [why for why, pattern in _PATTERNS if pattern.search(rule)]
    strange = _scripts(rule, least=2) - known.scripts - {_OWN_SCRIPT}
    if known.scripts and strange:
        found.append(f"is written in a script that no request uses ({', '.join(sorted(strange)).lower()})")
    if any(_names(rule, tool) for tool in known.tools):
        found.append("names a tool")
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


def _names(rule: str, tool: str) -> bool:
    """Whether a rule names a tool: by a name that is no word, or by a word that is marked as a name."""
    name = re.escape(tool)
    if not tool.isalpha() or not (tool.islower() or tool.istitle()):
        return re.search(rf"(?<!\w){name}(?!\w)", rule, re.IGNORECASE) is not None
    marked = rf"[`'\"]{name}[`'\"]|\b{name}\(|\b{name} (?:tool|function)\b|\b(?:tool|function) {name}\b"
    return re.search(marked, rule, re.IGNORECASE) is not None


def _scripts(text: str, *, least: int = 1) -> frozenset[str]:
    """The scripts in words of so many letters, by the first word of the letters' Unicode names."""
    letters = {letter for word in re.findall(r"[^\W\d_]+", text) if len(word) >= least for letter in word}
    return frozenset(unicodedata.name(letter, "UNNAMED").partition(" ")[0] for letter in letters)


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
