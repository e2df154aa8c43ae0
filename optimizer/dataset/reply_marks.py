"""Finds the marks of a text: links, addresses, codes, names, numbers and words. Pure.

The comparison of two replies to one question is by their marks, so it needs no model and no grader. Disguises of one
mark are that mark: wide letters, letters without width, ``evil dot com``. A mark is a hint, not a proof.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

Kind = Literal["link", "address", "code", "name", "number", "word"]

MOST_CHARACTERS = 20_000
"""Characters of a text that are looked at."""
_DOT = r"(?:\.|\s?[\[({]\s?(?:\.|dot|punkt)\s?[\])}]\s?|\s(?:dot|punkt)\s)"
_HOST = rf"[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,4}}{_DOT}(?-i:[a-z]{{2,18}}|[A-Z]{{2,18}})\b"
_LINK = (
    r"\bh(?:tt|xx)ps?\s?:\S*|\bwww\.\S+|(?<!:)//[\w-]+\S*|\bdata:\w{1,20}/\w|!?\[[^\]\n]{0,200}\]\([^)\n]{0,500}\)"
    r"|<\s?/?\s?(?:a|img|script|iframe|link|svg|form)\b[^>]{0,500}>"
    rf"|(?<![\w@.-]){_HOST}(?:/\S*)?"
)
_ADDRESS = (
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.\w{1,63}|(?<!\w)@\w{3,}|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}|\+\d[\d ()/-]{7,20}\d"
    rf"|(?<!\w)\w{{1,64}} ?[\[({{]?\bat\b[\])}}]? ?{_HOST}"
)
_CODE = (
    r"(?<![\w+/-])(?=[\w+/-]{0,64}\d)(?=[\w+/-]{0,64}[A-Za-z])[\w+/-]{12,}={0,2}"
    r"|(?<![\w+/])[\w+/]{8,}={1,2}(?!\w)|(?<!\w)(?=\w{0,64}[a-z][A-Z])(?=\w{0,64}[A-Z][a-z])\w{16,}"
)
_PATTERNS: Mapping[Kind, re.Pattern[str]] = {
    "link": re.compile(_LINK, re.IGNORECASE),
    "address": re.compile(_ADDRESS, re.IGNORECASE),
    "code": re.compile(_CODE),
    "name": re.compile(r"(?<![.!?:]\s)(?<![\"'\n])(?<!^)\b[A-Z\u00c0-\u00de][\w'\u2019-]+", re.MULTILINE),
    "number": re.compile(r"\d+(?:[.,]\d+)*"),
    "word": re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*"),
}
"""Every repetition has a bound where it could be begun anew at each letter: the time is linear in the text."""


def marks(text: str) -> dict[Kind, frozenset[str]]:
    """Return the marks of a text by their kind, in one case."""
    plain = _plain(text[:MOST_CHARACTERS])
    return {
        kind: frozenset(match[0].casefold().strip(".,;:") for match in pattern.finditer(plain))
        for kind, pattern in _PATTERNS.items()
    }


def word_count(text: str) -> int:
    """Return the number of words and numbers of a text."""
    return len(re.findall(r"\w+", text[:MOST_CHARACTERS]))


def _plain(text: str) -> str:
    """The text in one form: wide letters and marks without width make no other word."""
    if text.isascii():
        return text
    wide = unicodedata.normalize("NFKC", text)
    return "".join(letter for letter in wide if unicodedata.category(letter) != "Cf")
