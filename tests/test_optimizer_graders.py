"""The registry of graders: the configuration's kind decides."""

import pytest

from gateway.settings import ExactGrader, Grader, NumericGrader, RegexGrader
from optimizer.graders import Ungradable, grade, label


@pytest.mark.parametrize(
    ("grader", "reply", "expected", "score"),
    [
        (NumericGrader(), "It is 5", 5, 1.0),
        (ExactGrader(), "It is 5", 5, 0.0),
        (RegexGrader(), "It is 5", "is [0-9]", 1.0),
    ],
)
def test_each_kind_has_its_own_idea_of_right(grader: Grader, reply: str, expected: object, score: float) -> None:
    """A score is 1.0 or 0.0."""
    assert grade(grader, reply, expected) == score


def test_each_kind_labels_a_right_reply_in_its_own_way() -> None:
    """Or says that it cannot."""
    assert label(NumericGrader(), "It is 5") == "5"
    assert label(ExactGrader(), "It is 5 ") == "It is 5"
    with pytest.raises(Ungradable):
        label(RegexGrader(), "It is 5")
