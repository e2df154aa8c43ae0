"""The exact grader: the reply is the expected text, no more and no less."""

import pytest

from gateway.settings import ExactGrader
from optimizer.grading.graders import Ungradable
from tests.grading import grade, label

STRICT, LOOSE = ExactGrader(), ExactGrader(ignore_case=True)


def test_surrounding_white_space_does_not_matter_and_everything_else_does() -> None:
    """A longer reply that contains the answer is wrong: the caller would receive all of it."""
    assert grade(STRICT, " Paris\n", "Paris ")
    assert not grade(STRICT, "paris", "Paris")
    assert not grade(STRICT, "Paris.", "Paris")
    assert grade(LOOSE, "PARIS", "Paris")


@pytest.mark.parametrize("reply", ['{"a": 1}', '{"a":1}', "{'a': 1}"])
def test_a_value_that_is_no_text_is_compared_as_json_or_as_written(reply: str) -> None:
    """Spaces in JSON are a matter of taste."""
    assert grade(STRICT, reply, {"a": 1})


def test_true_may_be_written_both_ways() -> None:
    """As JSON and as Python write it."""
    assert grade(STRICT, "true", True) and grade(STRICT, "True", True)


def test_nothing_cannot_be_expected() -> None:
    """``null`` is an item without a label; an empty reply labels nothing."""
    with pytest.raises(Ungradable):
        grade(STRICT, "", None)
    with pytest.raises(Ungradable):
        label(STRICT, "  ")
    assert label(STRICT, " Paris ") == "Paris"
