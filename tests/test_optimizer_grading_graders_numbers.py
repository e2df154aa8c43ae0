"""Numbers as people write them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.grading.graders.numbers import LONGEST, stated


def numbers(text: str) -> list[Fraction | None]:
    return [number.value for number in stated(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12-5", ["12", "5"]),
        ("12 - 5", ["12", "5"]),
        ("-5", ["-5"]),
        ("= -5", ["-5"]),
        ("(-5)", ["-5"]),
        ("3*-5", ["3", "-5"]),
        ("- 5", ["5"]),
        ("\u22125", ["-5"]),
        ("3\u20135", ["3", "5"]),
        ("2 + 3 = 5", ["2", "3", "5"]),
        ("3.", ["3"]),
        ("3.50", ["3.50"]),
        (".5", ["0.5"]),
        ("1,000,000", ["1000000"]),
        ("1{,}000", ["1000"]),
        ("1, 2", ["1", "2"]),
        ("1,2", ["1.2"]),
        ("1,2,3", ["1", "2", "3"]),
        ("1.5,2.5", ["1.5", "2.5"]),
        ("0,75", ["0.75"]),
        ("1.234,50", ["1234.50"]),
        ("1.234.567,89", ["1234567.89"]),
        ("1.234.567", ["1234567"]),
        ("1,23,456", ["123456"]),
        ("1\u202f234\u202f567", ["1234567"]),
        ("1'234.5", ["1234.5"]),
        ("1 000", ["1", "0"]),
        ("3/4", ["3/4"]),
        ("1/2/2024", ["1", "2", "2024"]),
        ("2\u00bd", ["5/2"]),
        ("1 1/2", ["3/2"]),
        ("-\u00be", ["-3/4"]),
        ("12/4 = 3", ["3", "3"]),
        ("1.5 x 10^-2", ["0.015"]),
        ("1.5\u00b710\u2076", ["1500000"]),
        ("1e3", ["1000"]),
        ("-$1,234.50", ["-1234.50"]),
        ("$-5", ["-5"]),
        ("50%", ["50"]),
        ("\\boxed{42}", ["42"]),
        ("**42**.", ["42"]),
        ("12kg", ["12"]),
        ("x2", []),
        ("1.2.3", []),
        ("none", []),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, expected: list[str]) -> None:
    """Signs, separators, decimals, currencies and decoration."""
    assert numbers(text) == [Fraction(number) for number in expected]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_every_number_is_found_again_in_a_sentence(number: Decimal) -> None:
    """With and without thousands separators."""
    assert numbers(f"The answer is {number}.") == [Fraction(number)]
    assert numbers(f"It is {number:,} in all") == [Fraction(number)]


@given(st.text(alphabet="0123456789.,'-/ \u202f\u00bd\u00d710^eE\\{}frac", max_size=60))
def test_no_writing_breaks_the_reader(text: str) -> None:
    """Numbers stand in order, and lie in the text."""
    places = [(number.start, number.end) for number in stated(text)]
    assert all(0 <= start < end for start, end in places)


def test_a_number_too_long_to_read_is_known_as_one() -> None:
    """It is no other number by accident."""
    assert numbers("9" * (LONGEST + 1)) == [None] and numbers("9" * LONGEST) == [Fraction(10**LONGEST - 1)]
