"""Segment text of scripts without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan.

Without a dictionary, a segment is a character of Han or hiragana, a run of katakana, or a syllable of another script.
Words are never recognised: a segment is a half or a third of a word.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HIRAGANA = "\u3041-\u309f"
_KATAKANA = "\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_MARKS = "\u3000-\u3004\u3008-\u303f\u30a0\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
"""Punctuation of full width."""
_OTHERS = "\u0e01-\u0e3a\u0e40-\u0e4f\u0e5a\u0e5b\u0e81-\u0ecf\u0f00-\u0f1f\u0f34-\u103f\u104a-\u109f\u1780-\u17df"
"""Thai, Lao, Tibetan, Burmese, Khmer, without their digits."""
_ANY = f"{_HAN}{_HIRAGANA}{_KATAKANA}{_MARKS}{_OTHERS}"
_UNSPACED = re.compile(f"[{_ANY}]")
_SEGMENT = re.compile(
    f"[{_KATAKANA}]+"
    "|[\u0e40-\u0e44]?[\u0e01-\u0e2e][\u0e2f-\u0e3a\u0e45-\u0e4e]*"  # Thai: a vowel before, a consonant, marks
    "|[\u0ec0-\u0ec4]?[\u0e81-\u0eae\u0edc-\u0edf][\u0eaf-\u0ebd\u0ec6-\u0ece]*"
    "|[\u0f40-\u0fbc]+"
    "|[\u1000-\u102a\u103f][\u102b-\u103e]*"
    "|[\u1780-\u17b3](?:\u17d2[\u1780-\u17b3]|[\u17b4-\u17d1\u17d3\u17dd])*"
    f"|[{_ANY}]"
    f"|[^{_ANY}]+"
)
_DATE = re.compile(
    r"(?:\d{2,4}\s?年\s?)?\d{1,2}\s?月\s?\d{1,2}\s?[日号號]"
    "|[前昨今明后]天|[上下]?个?星期[一二三四五六日天]|[昨今明]日|(?:[先来今]週の)?[月火水木金土日]曜日?"
    "|เมื่อวาน|วันนี้|พรุ่งนี้"
    "|วัน(?:จันทร์|อังคาร|พุธ|พฤหัสบดี|พฤหัส|ศุกร์|เสาร์|อาทิตย์)"
    "|มกราคม|กุมภาพันธ์|มีนาคม|เมษายน|พฤษภาคม|มิถุนายน|กรกฎาคม|สิงหาคม|กันยายน|ตุลาคม|พฤศจิกายน|ธันวาคม"
)


def without_dates(text: str, mark: str) -> str:
    """Put a mark in place of every date, weekday and month of Chinese, Japanese and Thai."""
    return _DATE.sub(f" {mark} ", text) if is_unspaced(text) else text


def is_unspaced(text: str) -> bool:
    """Decide whether a text holds characters of such a script."""
    return _UNSPACED.search(text) is not None


def segments(token: str) -> list[str]:
    """Split a token of a text at the segments of these scripts; others stay whole."""
    return _SEGMENT.findall(token) if is_unspaced(token) else [token]


def size(word: str) -> float:
    """Return how much of a word a segment is, on average: a character of Chinese half, a Thai syllable a third."""
    if not _UNSPACED.match(word):
        return 1.0
    return 0.5 if word[0] >= "\u3000" else 1 / 3


def word_ends(text: str) -> list[int]:
    """Return the positions behind the words of a text; segments count as a word once they add up to one."""
    ends = []
    for word in re.finditer(r"\S+", text):
        end, length = word.start(), 0.0
        for segment in segments(word[0]):
            end, length = end + len(segment), length + size(segment)
            if length >= 0.99:
                ends.append(end)
                length = 0.0
        if length and end == word.end():
            ends.append(end)
    return ends


def gap(left: str, right: str) -> str:
    """Return the text between two neighbouring words: a space, or nothing beside a segment of these scripts."""
    return "" if _UNSPACED.match(right[0]) or _UNSPACED.match(left[-1]) else " "


def joined(words: Sequence[str]) -> str:
    """Join words for people to read."""
    return "".join(words[:1]) + "".join(f"{gap(left, right)}{right}" for left, right in pairwise(words))
