"""The regex grader: an expected expression that must be found, or a pattern that extracts the answer."""

import pytest

from gateway.settings import RegexGrader
from optimizer.grading.graders import Ungradable
from tests.grading import grade, label

FIND, EXTRACT = RegexGrader(), RegexGrader(pattern=r"answer: (\w+)")


def test_without_a_pattern_the_expected_expression_must_be_found() -> None:
    """Anywhere in the reply."""
    assert grade(FIND, "it is Paris, France", r"Paris|Lutetia")
    assert not grade(FIND, "it is Rome", r"Paris|Lutetia")


def test_with_a_pattern_what_it_finds_must_equal_the_expected_text() -> None:
    """Its first group, or all of it; a number is compared as text."""
    assert grade(EXTRACT, "so, answer: 12 it is", 12)
    assert not grade(EXTRACT, "answer: 123", 12)
    assert not grade(EXTRACT, "12", 12)
    assert grade(RegexGrader(pattern=r"\d+"), "about 12", "12")
    assert not grade(RegexGrader(pattern=r"x(y)?"), "x", "y")


@pytest.mark.parametrize("expected", ["(", "a{99999999999}", None])
def test_an_expression_that_does_not_compile_is_an_error_that_names_it(expected: object) -> None:
    """Such an item must be left out."""
    with pytest.raises(Ungradable, match="expected value"):
        grade(FIND, "anything", expected)


def test_an_expression_by_a_client_holds_up_nothing() -> None:
    """Feedback brings the expression and the reply: together they would keep a backtracking engine busy for ever."""
    assert not grade(FIND, "a" * 100_000 + "!", "(a+)+$")
    with pytest.raises(Ungradable, match="linear time"):
        grade(FIND, "aa", r"(a)\1")


def test_only_a_pattern_can_tell_the_label_of_a_right_reply() -> None:
    """A right reply does not say which expression it matched."""
    assert label(EXTRACT, "answer: yes") == "yes"
    for grader, reply in ((FIND, "yes"), (EXTRACT, "yes")):
        with pytest.raises(Ungradable):
            label(grader, reply)
