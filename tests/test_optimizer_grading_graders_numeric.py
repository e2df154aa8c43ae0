"""The numeric grader: what counts as a number, and when a reply says one thing only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import NumericGrader
from optimizer.grading.graders import Ungradable, grader_for
from tests.grading import grade, label

ONLY, LAST = NumericGrader(), NumericGrader(take="last")


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
    with pytest.raises(Ungradable, match="is not a number of at most"):
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


GIANT = 10**400


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("1.234,50 €", 1234.5), ("12\u202f345", "12.345,00"), ("¾", 0.75), ("\\frac{3}{4}", "3/4"),
        ("1 1/2 cups", "1.5"),
        ("1.5\u00d710^6", 1_500_000), ("1" + "0" * 400, GIANT), (str(GIANT), "1" + "0" * 400), ("-2/3", "-2/3"),
    ],
)  # fmt: skip
def test_numbers_of_all_countries_and_sizes_are_compared(reply: str, expected: object) -> None:
    """European separators, narrow spaces, fractions, powers of ten, and giants."""
    assert grade(ONLY, reply, expected) == 1.0
    assert grade(ONLY, "7", expected) == 0.0


def test_a_number_beyond_all_bounds_is_no_answer() -> None:
    """A thousand digits can be read; an expected number of more is refused, and a reply with more is wrong."""
    with pytest.raises(Ungradable, match="at most 1000 digits"):
        grade(ONLY, "1", 10**1000)
    with pytest.raises(Ungradable, match="at most 1000 digits"):
        grade(ONLY, "1", "9" * 5000)
    assert grade(ONLY, "9" * 100_000, GIANT) == 0.0


def test_the_configuration_says_which_sign_is_decimal_where_a_number_has_two_readings() -> None:
    """A file from Germany and one from England may hold the same text."""
    german = NumericGrader(decimal=",")
    assert grade(ONLY, "1.234", 1.234) and grade(german, "1.234", 1234) and grade(german, "1,234", "1,234")
    assert grade(german, "1,234", 1.234) and grade(ONLY, "1,234", 1234)


def test_labels_are_plain_digits_or_fractions() -> None:
    """And are read as the number that they are."""
    assert [label(ONLY, text) for text in ("1.5e3", "0.10", "-¾", "2/3", "1.234,50")] == [
        "1500", "0.1", "-0.75", "2/3", "1234.5",
    ]  # fmt: skip


def test_equal_numbers_in_other_words_do_not_contradict_each_other() -> None:
    """1,000 is 1000.0."""
    grader = grader_for(ONLY)
    assert not grader.contradict("1,000", 1000.0) and grader.contradict(1, 2)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a model writes is graded."""
    assert grade(ONLY, text, 1) in (True, False)


def test_a_sign_far_before_a_number_is_read_in_linear_time() -> None:
    """An expression with two repetitions of white space took half an hour for a text of 900 KB, with the lock held."""
    far = " " * 900_000
    assert grade(ONLY, "-5", f"-{far}5") and grade(ONLY, "-5", f"-{far}$ 5")
    assert grade(ONLY, "5", f"-{far}%5")
