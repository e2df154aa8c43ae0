"""The lint of rules: texts banned from every system prompt, whatever they might gain.

User text shaped the rules. A rule with a quote would leak one user's text to all others; a rule with an instruction, a
link or a secret may have been planted in the text before the strong model. Conversations are counted, not messages: a
text sent a thousand times in one conversation is still one user's. Does not measure the effect of a rule: the gate
does.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from gateway.domain import Value

MIN_LENGTH = 8  # characters
MAX_LENGTH = 500  # characters: a convention names its condition, its exceptions and its answer
_LONGEST = 4 * MAX_LENGTH
"""Characters that an expression searches at once: some take time with the square of the length."""
QUOTE_WORDS = 6
"""A run of so many words from a user's text is a quote."""
REMARK_WORDS = 3
"""A user's remark of so many words is a quote as a whole."""
CONVERSATIONS = 3
"""A text in fewer conversations is quoted from a user, whatever their share."""
CLOSED_SHARE = 0.8
"""The share of items with a common answer, from which on all common answers are class labels."""
_FIGURE_WORDS = 4  # a run of so many words, two of them with digits, is one too
_LONG_NUMBER = 4  # digits
_OWN_SCRIPT = "LATIN"  # of the prompt that asks for rules

_FORBIDDEN = {
    "holds a link or an address": (
        r"h(?:tt|xx)ps?:|\bwww\.|(?<![\w.-])[\w.-]+@[\w-]+\.|\w ?[\[(] ?(?:\.|dot) ?[\])] ?\w"
        r"|\bdot (?:com|org|net|io|dev|ai)\b"
        r"|(?<![\w-])[\w-]+\.(?:com|org|net|io|dev|ai|app|biz|cn|info|link|ly|online|ru|shop|site|top|xyz)\b"
    ),
    "holds what looks like a secret": (
        r"\b(?:sk|pk|ghp|xox[bp])[-_]\w{6,}|\bbearer\s+\S{8,}"
        r"|(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])[\w+/=-]{20,}"
    ),
    "tells the model to ignore what it was told": (
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
        r"\b(?:above|previous|prior|earlier|preceding|instructions?|system|prompt|rules?|everything)\b"
    ),
    "holds the mark of a role or a tag": (
        r"(?:^|\s)(?:system|user|assistant|developer)\s*:|<\|?[/\w]+\|?>|\[/?INST\]|^#{2,}\s"
    ),
    "holds a code fence": r"```|~~~",
    "holds a blank that nobody fills": (
        r"\{\{?\s*\w+\s*\}|\$\{|%\(\w+\)s|\[(?:insert|your|name|answer|placeholder)\b|\[[a-z -]+ \d+\]"
    ),
    "speaks of its writer instead of to the model": (
        r"^(?:i(?:['\u2019](?:m|ve|ll|d))?\s|(?:sorry|unfortunately|as an ai|as a language model)\b)"
        r"|\bi (?:cannot|can['\u2019]t|am unable)\b"
    ),
}
_PATTERNS = [(why, re.compile(pattern, re.IGNORECASE)) for why, pattern in _FORBIDDEN.items()]
_WORD = re.compile(r"\w+(?:['\u2019.,]\w+)*")
_DIGIT = re.compile(r"\d")

Word = TypeVar("Word")


class Corpus(Value, frozen=True):
    """An index of the texts by users, none of them allowed in a rule."""

    quotes: frozenset[tuple[str, ...]]
    figures: frozenset[tuple[str, ...]]
    numbers: frozenset[str]
    answers: frozenset[str]
    common: frozenset[str] = frozenset()
    """Words of many conversations, and of several tenants if there are any."""
    remarks: frozenset[str] = frozenset()
    """Short remarks by users, shorter than a quote."""
    tools: frozenset[str] = frozenset()
    """Names of the tools in requests."""
    scripts: frozenset[str] = frozenset()
    """The scripts of the requests and the expected answers, such as ``LATIN``; empty without requests."""


def corpus(
    texts: Sequence[str],
    answers: Sequence[str],
    *,
    conversations: Sequence[Hashable] = (),
    tenants: Sequence[str | None] = (),
    least: int = CONVERSATIONS,
    tools: Iterable[str] = (),
    instructions: str = "",
    labels: Iterable[str] = (),
    remarks: Sequence[str] = (),
) -> Corpus:
    """Index users' texts, the expected answers (to the first texts), names of tools, and the operator's instructions.

    ``conversations`` and ``tenants`` name the origin of each text; without them each text is a conversation. A run of
    words in at least ``least`` conversations, and in more than half of all, is the operator's template. An answer
    shared by ``least`` conversations and by more than one tenant, if there are several, is a class label if it is more
    than a tenth of all answers, or if four fifths of all answers are so shared: a closed set. Neither gives anyone
    away, and no tenant alone can make either. ``labels``, and answers that the instructions list, are labels as well.
    ``remarks`` are users' words about the replies to the texts; a whole remark is a quote, however short.
    """
    keys = list(conversations) or list(range(len(texts)))
    by_conversation: dict[Hashable, list[list[str]]] = {}
    for key, text in zip(keys, texts, strict=True):
        by_conversation.setdefault(key, []).append(_words(text))
    for key, text in zip(keys, remarks, strict=False):
        by_conversation[key].append(_words(text))
    quotes: Counter[tuple[str, ...]] = Counter()
    figures: Counter[tuple[str, ...]] = Counter()
    numbers: Counter[str] = Counter()
    for turns in by_conversation.values():
        quotes.update({run for words in turns for run in _runs(words, QUOTE_WORDS)})
        figures.update({run for words in turns for run in _figures(words)})
        numbers.update({word for words in turns for word in words if len(_DIGIT.findall(word)) >= _LONG_NUMBER})
    rare = max(least - 1, len(by_conversation) // 2)
    return Corpus(
        quotes=frozenset(run for run, count in quotes.items() if count <= rare),
        figures=frozenset(run for run, count in figures.items() if count <= rare),
        numbers=frozenset(word for word, count in numbers.items() if count <= rare),
        answers=_telling(answers, keys, tenants, least) - _listed(answers, instructions, labels),
        common=_common_words(texts, keys, tenants, least),
        remarks=_short_remarks(remarks, keys, least),
        tools=frozenset(tools),
        scripts=_scripts(instructions).union(*map(_scripts, (*texts, *answers))),
    )


def _common_words(
    texts: Sequence[str], conversations: Sequence[Hashable], tenants: Sequence[str | None], least: int
) -> frozenset[str]:
    """The words in ``least`` conversations, and of more than one tenant if there are several."""
    several = len(set(tenants)) > 1
    where: dict[str, set[Hashable]] = {}
    used_by: dict[str, set[str | None]] = {}
    for place, text in enumerate(texts):
        for word in set(_words(text)):
            where.setdefault(word, set()).add(conversations[place])
            used_by.setdefault(word, set()).add(tenants[place] if place < len(tenants) else None)
    return frozenset(
        word for word, seen in where.items() if len(seen) >= least and not (several and len(used_by[word]) == 1)
    )


def _short_remarks(remarks: Sequence[str], conversations: Sequence[Hashable], least: int) -> frozenset[str]:
    """The remarks of a few words that fewer than ``least`` conversations share."""
    shared: dict[str, set[Hashable]] = {}
    for conversation, text in zip(conversations, remarks, strict=False):
        words = _words(text)
        if REMARK_WORDS <= len(words) < QUOTE_WORDS:
            shared.setdefault(" ".join(words), set()).add(conversation)
    return frozenset(remark for remark, where in shared.items() if len(where) < least)


def _telling(
    answers: Sequence[str], conversations: Sequence[Hashable], tenants: Sequence[str | None], least: int
) -> frozenset[str]:
    """The answers other than class labels."""
    shared: dict[str, set[Hashable]] = {}
    used_by: dict[str, set[str | None]] = {}
    for place, answer in enumerate(answers):
        label = " ".join(_words(answer))
        shared.setdefault(label, set()).add(conversations[place])
        used_by.setdefault(label, set()).add(tenants[place] if tenants else None)
    several = len(set(tenants[: len(answers)])) > 1
    common = {
        label for label, where in shared.items() if len(where) >= least and not (several and len(used_by[label]) == 1)
    }
    covered = sum(" ".join(_words(answer)) in common for answer in answers)
    closed = covered >= CLOSED_SHARE * len(answers)
    rare = 0 if closed else len(set(conversations[: len(answers)])) // 10
    return frozenset(
        label for label, where in shared.items() if len(label) > 1 and not (label in common and len(where) > rare)
    )


def _listed(answers: Sequence[str], instructions: str, labels: Iterable[str]) -> frozenset[str]:
    """The answers that the operator lists, as labels of the task or in the instructions."""
    listed = {" ".join(_words(label)) for label in labels}
    spaced = f" {' '.join(_words(instructions))} "
    return frozenset(
        label
        for label in {" ".join(_words(answer)) for answer in answers}
        if label in listed or (label and not label.isdigit() and f" {label} " in spaced)
    )


def problems(rule: str, known: Corpus) -> list[str]:
    """Every reason why a rule must not be used; none if it may be tried."""
    reasons = []
    if not MIN_LENGTH <= len(rule) <= MAX_LENGTH:
        reasons.append(f"has {len(rule)} characters, not {MIN_LENGTH} to {MAX_LENGTH}")
    if not _is_text(rule):
        reasons.append("is not a readable sentence")
    reasons += dangers(rule, known)
    strange = _scripts(rule, least=2) - known.scripts - {_OWN_SCRIPT}
    if known.scripts and strange:
        reasons.append(f"is written in a script that no request or answer uses ({', '.join(sorted(strange)).lower()})")
    if any(_names(rule, tool) for tool in known.tools):
        reasons.append("names a tool")
    spaced = f" {' '.join(_words(rule))} "
    if any(f" {answer} " in spaced for answer in known.answers):
        reasons.append("holds the expected answer of a question")
    return reasons


def dangers(rule: str, known: Corpus) -> list[str]:
    """Return the reasons against a rule: dangerous content, and words of users. Authors make no difference."""
    plain = unicodedata.normalize("NFKC", rule)
    pieces = [plain[start : start + _LONGEST] for start in range(0, max(len(plain), 1), _LONGEST - MAX_LENGTH)]
    reasons = [why for why, pattern in _PATTERNS if any(pattern.search(piece) for piece in pieces)]
    words = _words(rule)
    if (
        any(run in known.quotes for run in _runs(words, QUOTE_WORDS))
        or any(run in known.figures for run in _runs(words, _FIGURE_WORDS))
        or any(word in known.numbers for word in words)
    ):
        reasons.append("quotes the text of a question")
    spaced = f" {' '.join(words)} "
    if any(f" {remark} " in spaced for remark in known.remarks):
        reasons.append("repeats a user's remark")
    return reasons


def _names(rule: str, tool: str) -> bool:
    """Tell if a rule names a tool: by a name outside the dictionary, or by a word marked as a name."""
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
    """The words in one form: wide letters and marks without width make no other word."""
    if not text.isascii():
        wide = unicodedata.normalize("NFKC", text)
        text = "".join(letter for letter in wide if unicodedata.category(letter) != "Cf")
    return _WORD.findall(text.casefold())


def _runs(words: Sequence[Word], length: int) -> Iterable[tuple[Word, ...]]:
    return zip(*(words[start:] for start in range(length)), strict=False)


def _figures(words: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """The short runs with digits in two of their words."""
    marks = [_DIGIT.search(word) is not None for word in words]
    runs = zip(_runs(words, _FIGURE_WORDS), _runs(marks, _FIGURE_WORDS), strict=True)
    return (run for run, marked in runs if sum(marked) >= 2)


def _is_text(rule: str) -> bool:
    """Mostly letters, printable, and not the same few words over and over."""
    solid = [letter for letter in rule if not letter.isspace()]
    words = _words(rule)
    looping = len(words) >= 8 and len(set(words)) < 0.4 * len(words)
    return rule.isprintable() and sum(map(str.isalpha, solid)) >= 0.6 * len(solid) and not looping
