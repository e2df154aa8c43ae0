"""Families of near-duplicates: items with nearly equal questions and equal answers.

"Track order 118" and "Hello, please track order 743" are one question asked twice. Different answers
make two questions: "What is 3 plus 4?" and "What is 5 plus 9?". Texts are compared as sets of words without numbers and
dates, by MinHash (Broder, 1997) in time linear in the number of items.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from optimizer.dataset.disjoint_sets import DisjointSets
from optimizer.dataset.items import Item
from optimizer.dataset.recorded_request import folded, read_request
from optimizer.grading.graders import text_of

SIMILAR = 0.7
"""Common share of two sets of words (Jaccard) for texts that are nearly the same."""
LARGEST = 1 / 3
"""Share of all items. A larger family is the form of the workload, and its items are different questions."""
AGREEING = 0.9
"""Share of a family with the same answer; less, and the differences in the texts matter."""
COMMON = 0.5
"""Share of the items. A word in more of them belongs to the workload's form."""
LONG_ANSWER = 80
"""Characters of an answer in free words; no two such answers are equal."""
_READ = 20_000  # characters of a text that are compared
_SLOTS, _BAND = 16, 2
_REPRESENTATIVES = 4  # of a bucket, compared with each new member

_VOLATILE = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:z|[+-]\d\d:?\d\d)?)?\b"
    r"|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]\.?m\b\.?)?"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b(?=[a-f]*\d)[0-9a-f]{12,}\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)"
    r"(?: \d{1,2}(?:st|nd|rd|th)?)?,? \d{4}\b"
    r"|\b\d{1,2}(?:st|nd|rd|th)? (?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december)(?:,? \d{4})?\b"
)
"""Dates, times and identifiers, in folded text."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word without digits; scripts without spaces by character."""


def families(items: Sequence[Item]) -> list[list[int]]:
    """Return the places of near-duplicates, one list per family of two or more."""
    texts = [_texts(item) for item in items]
    candidates = [*_equal(texts), *_similar(texts)]
    return [family for group in candidates for family in _of_one_answer(group, items)]


def _texts(item: Item) -> tuple[str, str]:
    """Return instructions and conversation, folded, without dates and identifiers."""
    request = read_request(item.request)
    return _stable(request.instructions), _stable(request.transcript)


def _stable(text: str) -> str:
    return _VOLATILE.sub(" ", folded(text[:_READ]))


def _equal(texts: Sequence[tuple[str, str]]) -> Iterable[list[int]]:
    """Group equal texts; numbers count in the conversation only, because instructions carry clocks and counters."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (instructions, conversation) in enumerate(texts):
        groups[" ".join(_WORD.findall(instructions)), " ".join(conversation.split())].append(place)
    return (group for group in groups.values() if len(group) > 1)


def _similar(texts: Sequence[tuple[str, str]]) -> Iterable[list[int]]:
    """Group similar sets of words: equal bands of their MinHash are compared with a bucket's first members."""
    words = [frozenset(_WORD.findall(f"{instructions} {conversation}")) for instructions, conversation in texts]
    counts = Counter(word for group in words for word in group)
    common = {word for word, count in counts.items() if count > COMMON * len(texts)}
    rare = [group - common for group in words]
    alike = DisjointSets(len(texts))
    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, group in enumerate(rare):
        if not group:
            continue
        signature = [min(slot) for slot in zip(*map(_hashes, group), strict=True)]
        for band in range(0, _SLOTS, _BAND):
            bucket = buckets[band, *signature[band : band + _BAND]]
            twin = next((other for other in bucket if _jaccard(group, rare[other]) >= SIMILAR), None)
            if twin is not None:
                alike.join((place, twin))
            elif len(bucket) < _REPRESENTATIVES:
                bucket.append(place)
    return alike.sets()


def _of_one_answer(group: list[int], items: Sequence[Item]) -> Iterable[list[int]]:
    """Yield a group if nearly all its answers are equal, or all are free words, and it is not the workload's form."""
    if len(group) > max(2, LARGEST * len(items)):
        return
    answers = [None if items[place].expected is None else folded(text_of(items[place].expected)) for place in group]
    known = Counter(answer for answer in answers if answer is not None)
    if not known:
        return
    agreed = max(known.values()) >= AGREEING * known.total()
    if agreed or all(len(answer) > LONG_ANSWER for answer in known):
        yield group


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second)


@lru_cache(100_000)
def _hashes(word: str) -> tuple[int, ...]:
    """Return independent hashes of a word, one per slot of a signature."""
    data = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4 * _SLOTS).digest()
    return tuple(int.from_bytes(data[start : start + 4]) for start in range(0, 4 * _SLOTS, 4))
