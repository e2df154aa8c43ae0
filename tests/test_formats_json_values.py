"""Counting the values of a document: exact enough to refuse, cheap enough to come first, however the pieces are cut."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BodyTooLarge
from gateway.formats.json_values import ValueCount

TEXTS = st.text() | st.sampled_from(['"', "\\", '\\"', "a,b,[c]", '{"a":1}', "\\\\", "ü\n"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


def values(document: Any) -> tuple[int, int]:
    """The number of values, and of empty containers."""
    inner = list(document.values()) if isinstance(document, dict) else document if isinstance(document, list) else []
    counts = [values(item) for item in inner]
    empty = isinstance(document, dict | list) and not document
    return 1 + sum(count for count, _ in counts), empty + sum(count for _, count in counts)


def counted(document: bytes, cuts: list[int], *, numbers: bool = True) -> int:
    count = ValueCount(10**9, numbers=numbers)
    places = [0, *sorted({cut % (len(document) + 1) for cut in cuts}), len(document)]
    for begin, end in itertools.pairwise(places):
        count.feed(document[begin:end])
    return count.total


@given(DOCUMENTS, st.booleans(), st.lists(st.integers(0, 10**6), max_size=5))
def test_every_value_counts_once_wherever_the_pieces_are_cut(document: Any, ascii_only: bool, cuts: list[int]) -> None:
    """Commas and brackets in texts do not count; the outermost value is left out, empty containers count twice."""
    every, empty = values(document)
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert counted(body, cuts) == every - 1 + empty


@given(st.binary(), st.lists(st.integers(0, 10**6), max_size=5))
def test_anything_can_be_counted(document: bytes, cuts: list[int]) -> None:
    """What is no JSON is for the decoder to refuse."""
    assert counted(document, cuts) >= 0


def test_plain_numbers_may_be_free() -> None:
    """An embedding's input as tokens: the texts and lists of it count."""
    tokens = json.dumps({"model": "m", "input": [[1] * 1000] * 3}).encode()
    assert counted(tokens, []) > 3000
    assert counted(tokens, [], numbers=False) == 6  # the object, the model, the list, three lists in it


@pytest.mark.parametrize(
    "piece",
    [b"0," * 100, b"[" * 100, b"{}," * 50, b'"a":0,' * 100, b'"a",' * 100, b'""' * 221],
    ids=lambda piece: piece[:6],
)
def test_too_many_values_are_refused_at_the_piece_that_brings_them(piece: bytes) -> None:
    """Nothing behind it needs to arrive."""
    count = ValueCount(110)
    count.feed(b"[" + piece)
    with pytest.raises(BodyTooLarge, match="more than 110 JSON values") as refused:
        count.feed(piece)
    assert refused.value.code == "too_many_values"


def test_a_long_text_is_one_value() -> None:
    """Whatever stands in it, and however many pieces it comes in."""
    count = ValueCount(3)
    count.feed(b'["')
    for _ in range(100):
        count.feed(b'a, [b], {c: d}, \\"e\\", f\\\\')
    count.feed(b'"]')
    assert count.total == 1
