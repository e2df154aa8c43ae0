"""The groups of an item, none of which may pay for a gain: its class, tenant, language, and the length of its question.

A class is an expected answer that several items share. The language is a guess from the script and, for Latin letters,
from the commonest words. Compares nothing: ``group_guard`` does.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from optimizer.dataset.items import Item
from optimizer.dataset.recorded_request import read_request

MOST_CLASSES = 50
"""Distinct expected answers up to which they are taken as classes, if items share them."""
LONGEST_CLASS = 60
"""Characters of an expected answer that may be the name of a class."""
_SHARED = 5  # items on average to an answer that is a class
_WORDS = {
    "English": "the of and to is in for you that with",
    "German": "der die das und ist nicht ein ich mit zu",
    "French": "le la les des est et une pas que pour",
    "Spanish": "el los las una es que por con para del",
    "Italian": "il che di una non per sono con della gli",
    "Portuguese": "os uma não que para com do da em são",
    "Dutch": "het een van en niet dat ik voor met zijn",
    "Polish": "nie się jest że na do to jak czy dla",
}
_BY_WORD: dict[str, list[str]] = {}
for _name, _line in _WORDS.items():
    for _word in _line.split():
        _BY_WORD.setdefault(_word, []).append(_name)
_WORD = re.compile(r"[^\W\d_]+")


def groups_of(items: Sequence[Item]) -> list[tuple[str, ...]]:
    """Return the names of the groups of each item."""
    texts = [read_request(item.request).transcript for item in items]
    answers = [_class_name(item.expected) for item in items]
    shared = Counter(answer for answer in answers if answer is not None)
    are_classes = bool(shared) and len(shared) <= min(MOST_CLASSES, max(2, len(items) // _SHARED))
    middle = sorted(map(len, texts))[len(texts) // 2] if texts else 0
    named = []
    for item, text, answer in zip(items, texts, answers, strict=True):
        names = [f"language {language_of(text)}", "long questions" if len(text) > middle else "short questions"]
        if are_classes and answer is not None:
            names.append(f"class {answer}")
        if item.tenant:
            names.append(f"tenant {item.tenant}")
        named.append(tuple(names))
    return named


def language_of(text: str) -> str:
    """Guess the language of a text: by its commonest words in Latin letters, else its script, such as ``han``."""
    words = _WORD.findall(text.casefold())
    hits = Counter(name for word in words for name in _BY_WORD.get(word, ()))
    scripts = Counter(
        unicodedata.name(letter, "unknown").partition(" ")[0].lower()
        for word in words
        for letter in word
        if not letter.isascii()
    )
    foreign = [(script, count) for script, count in scripts.most_common(1) if script != "latin"]
    if foreign and foreign[0][1] * 2 > sum(map(len, words)):
        return foreign[0][0]
    return hits.most_common(1)[0][0] if hits else "unknown"


def _class_name(expected: Any) -> str | None:
    if isinstance(expected, bool | int):
        return str(expected).lower()
    if isinstance(expected, str) and 0 < len(expected.strip()) <= LONGEST_CLASS:
        return expected.strip().casefold()
    return None
