"""The contract of a grader, and the defaults of a grader that compares by itself."""

import asyncio
import threading
from typing import Any, NoReturn

import pytest

from optimizer.grading.graders import ReplyGrader, Submission, Ungradable


class Length(ReplyGrader):
    """Right if the reply has the expected number of characters."""

    def __init__(self, *, slow: bool = False) -> None:
        self.is_slow = slow
        self.threads: list[int] = []

    def grade(self, submission: Submission, expected: Any) -> float:
        self.threads.append(threading.get_ident())
        if not isinstance(expected, int):
            raise Ungradable(expected, "a length")
        return max(0.0, 1 - abs(len(submission.text) - expected) / 10)


async def asks_nobody(name: str, structured: bytes, plain: bytes) -> NoReturn:
    raise AssertionError(f"{name} was asked")


@pytest.mark.parametrize("slow", [False, True])
async def test_a_slow_grader_does_not_hold_the_event_loop(slow: bool) -> None:
    """A quick one is not worth a thread; neither asks a model."""
    grader = Length(slow=slow)
    assert (await grader.decide(Submission(text="12345"), 5, asks_nobody)).score == 1.0
    assert (grader.threads == [threading.get_ident()]) is not slow
    await asyncio.sleep(0)


def test_a_reply_is_obviously_right_only_with_the_full_score() -> None:
    """Anything less is not right."""
    assert Length().obvious(Submission(text="12345"), 5) is True
    assert Length().obvious(Submission(text="1234"), 5) is False


def test_an_expected_value_is_examined_without_a_reply() -> None:
    """A value that fits no reply is refused; any other value is accepted."""
    Length().examine(3)
    with pytest.raises(Ungradable, match="a length"):
        Length().examine("three")


def test_a_grader_labels_nothing_by_default() -> None:
    """A score alone does not reveal the expected answer."""
    with pytest.raises(Ungradable, match="reveals"):
        Length().label(Submission(text="12345"))


def test_expected_values_contradict_each_other_by_their_text() -> None:
    """White space around a text makes no difference, and 5 reads as "5"."""
    assert Length().contradict(5, 6) and not Length().contradict(5, "5 ")
