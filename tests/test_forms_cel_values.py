"""The values of conditions: equality, arithmetic and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forms.cel_values import BINARY, MAX_SIZE, METHODS, CelError, equal

INTEGERS = st.integers(-(2**63), 2**63 - 1)


@given(INTEGERS, INTEGERS.filter(bool))
def test_division_and_remainder_fit_together(left: int, right: int) -> None:
    """As in CEL and in C the quotient is cut towards zero, so the remainder has the sign of the dividend."""
    if (left, right) == (-(2**63), -1):
        return
    quotient, remainder = BINARY["/"](left, right), BINARY["%"](left, right)
    assert quotient * right + remainder == left
    assert remainder == 0 or (remainder < 0) == (left < 0)


@pytest.mark.parametrize(("left", "sign", "right"), [(2**63 - 1, "+", 1), (-(2**63), "-", 1), (2**62, "*", 2)])
def test_an_overflow_has_no_value(left: int, sign: str, right: int) -> None:
    """An integer has 64 bits everywhere."""
    with pytest.raises(CelError):
        BINARY[sign](left, right)


def test_a_boolean_is_no_number() -> None:
    """Python's own comparison says otherwise."""
    assert not equal(True, 1) and not equal(0, False) and equal(True, True)
    with pytest.raises(CelError):
        BINARY["+"](True, 1)


def test_equal_maps_and_lists_hold_equal_values() -> None:
    """Numbers compare by value inside them, too."""
    assert equal({"a": [1, "x"]}, {"a": [1.0, "x"]})
    assert not equal({"a": 1}, {"a": True}) and not equal([1], [1, 1])


@pytest.mark.parametrize("part", ["x", ["x"]])
def test_a_sum_of_texts_or_lists_is_bounded(part: str | list[str]) -> None:
    """Nothing that a user writes can be made to fill the memory."""
    long = part * MAX_SIZE
    with pytest.raises(CelError):
        BINARY["+"](long, part)


def test_case_is_changed_in_ascii_only() -> None:
    """As the names of the methods say."""
    assert METHODS["lowerAscii", 0]("ÄB") == "Äb" and METHODS["upperAscii", 0]("äb") == "äB"
