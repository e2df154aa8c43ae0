"""JSON values compared by what they mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.grading.graders.canonical import DEEPEST, LONGEST, NotJson, same, value_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([True], [1], False),
        (1, "1", False),
        (None, False, False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        (10**30, 10**30 + 1, False),
        ({}, [], False),
    ],
)
def test_numbers_are_one_kind_and_keys_have_no_order(one: Any, other: Any, equal: bool) -> None:
    """But true is no number, absent is not null, and a list has an order. Both ways round."""
    assert same(one, other) is equal and same(other, one) is equal


def test_ignored_keys_do_not_count_however_deep_they_lie() -> None:
    """Neither their values nor whether they are there."""
    one, other = {"id": 1, "items": [{"id": 2, "n": 3}]}, {"items": [{"n": 3}]}
    assert same(one, other, ignore=["id"]) and not same(one, other)


@given(VALUES)
def test_a_value_equals_itself_written_in_another_order(value: Any) -> None:
    """Through text and back, keys sorted."""
    assert same(value, value_of(json.dumps(value, sort_keys=True)))


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[1,]", "NaN", "1 2", "\ud800", "[" * 100_000])
def test_what_is_not_json_is_said_not_guessed(text: str) -> None:
    """Python's spelling, a comma too many, half a text, endless brackets."""
    with pytest.raises(NotJson):
        value_of(text)


def test_what_is_too_long_or_too_deep_is_not_looked_into() -> None:
    """So that no reply keeps a grader busy."""
    assert value_of("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(NotJson, match="levels"):
        value_of("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    with pytest.raises(NotJson, match="characters"):
        value_of(" " * LONGEST + "1")
