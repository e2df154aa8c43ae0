"""The exact grader: the reply is the expected text, no more and no less."""

import pytest

from gateway.settings import ExactGrader
from optimizer.grading.graders import Ungradable, grader_for
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


def test_any_text_of_a_list_is_accepted() -> None:
    """So is the list itself, as JSON; numbers in it are texts as well."""
    for reply in ("Paris", "paris, France", "7", '["Paris", "paris, France", 7]'):
        assert grade(STRICT, reply, ["Paris", "paris, France", 7])
    assert not grade(STRICT, "Rome", ["Paris"])
    with pytest.raises(Ungradable, match="accepted texts"):
        grade(STRICT, "Rome", [])


def test_a_composed_accent_equals_one_of_two_characters() -> None:
    """NFC and NFD look the same."""
    assert grade(STRICT, "caf\u00e9", "cafe\u0301") and grade(LOOSE, "CAFE\u0301", "caf\u00e9")


def test_lists_with_a_common_text_do_not_contradict_each_other() -> None:
    """One of two accepted answers may be all that another person knows."""
    exact = grader_for(STRICT)
    assert not exact.contradict(["Paris", "Lutetia"], "Paris") and exact.contradict(["Paris"], "Rome")
