"""The bounds of an expected answer."""

from typing import Any

import pytest

from gateway.expected import MAX_DEPTH, excess


@pytest.mark.parametrize(
    ("expected", "within"),
    [
        (4, True), ("4" * 10**5, True), ({"a": [1, None, True]}, True), (-1e300, True), (10**300, True),
        (10**400, False), ([[-(10**400)]], False), (float("nan"), False), (float("inf"), False), ({"a": 1e301}, False),
    ],
)  # fmt: skip
def test_expected_answers_have_bounds(expected: Any, within: bool) -> None:
    """Numbers that a grader can compute with, and no deep nesting."""
    assert (excess(expected) == "") == within


def test_expected_answers_are_not_nested_too_deep() -> None:
    """At most so many levels."""
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert excess(nested) == ""
    assert "nested" in excess([nested])
