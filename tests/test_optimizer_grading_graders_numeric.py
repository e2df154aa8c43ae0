"""The numeric grader: what counts as a number, and when a reply says one thing only."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import NumericGrader
from optimizer.grading.graders import Ungradable
from optimizer.grading.graders.numeric import numbers
from tests.grading import grade, label

ONLY, LAST = NumericGrader(), NumericGrader(take="last")


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
        ("1,2", ["1", "2"]),
        ("1e3", ["1E+3"]),
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
    assert [str(number) for number in numbers(text)] == expected


@pytest.mark.parametrize(
    ("reply", "only", "last"),
    [
        ("42", True, True),
        ("The answer is 42.", True, True),
        ("42 apples, so 42", True, True),
        ("42.0", True, True),
        ("40 + 2 = 42", False, True),
        ("42 of 100", False, False),
        ("forty-two", False, False),
        ("", False, False),
    ],
)
def test_a_reply_with_several_numbers_tells_the_caller_nothing(reply: str, only: bool, last: bool) -> None:
    """``only`` wants one value, however often it is said; ``last`` takes the last one."""
    assert (grade(ONLY, reply, 42), grade(LAST, reply, 42)) == (only, last)


@pytest.mark.parametrize("expected", [1234, 1234.0, "1,234", "$1,234", "so 34 * 2 is wrong\n#### 1,234", " 1234. "])
def test_the_expected_number_may_be_written_in_several_ways(expected: object) -> None:
    """A number, a text that is one, or a worked solution with the answer behind the mark."""
    assert grade(ONLY, "1234", expected)


@pytest.mark.parametrize(
    "expected", [None, True, [], {}, "", "twelve", "1 or 2", "12 apples", float("nan"), float("inf")]
)
def test_an_expected_value_that_is_no_number_is_an_error_that_names_it(expected: object) -> None:
    """Such an item must be left out: no reply could be right."""
    with pytest.raises(Ungradable, match="is not a number"):
        grade(ONLY, "1", expected)


def test_the_tolerance_is_absolute() -> None:
    """A difference up to the tolerance counts as equal."""
    rough = NumericGrader(tolerance=0.01)
    assert grade(rough, "3.14", 3.145) and not grade(rough, "3.1", 3.145)


def test_large_integers_are_compared_digit_by_digit() -> None:
    """No floating point lies between two numbers of twenty digits."""
    assert not grade(ONLY, "12345678901234567890", 12345678901234567891)


def test_the_label_of_a_right_reply_is_its_number() -> None:
    """So that a reply called right can be an expected answer; one with several numbers cannot."""
    assert label(ONLY, "It costs $1,200.") == "1200"
    with pytest.raises(Ungradable):
        label(ONLY, "1 or 2")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_every_number_is_found_again_in_a_sentence(number: Decimal) -> None:
    """With and without thousands separators."""
    assert numbers(f"The answer is {number}.") == [number]
    assert numbers(f"It is {number:,} in all") == [number]


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a model writes is graded."""
    assert grade(ONLY, text, 1) in (True, False)
