"""A user's own grader: imported once, trusted to run, never to be right about its own form."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.graders import PythonGrader
from optimizer.grading.graders import Grade, GraderFailed, Submission
from optimizer.grading.graders.python import OwnFunction
from tests.grading import grade, mistakes


def longer(reply: str, expected: Any, request: dict[str, Any]) -> Any:
    return len(reply) > expected


def returned(reply: str, expected: Any, request: dict[str, Any]) -> Any:
    return expected


def whole(*given: Any) -> bool:
    return given == ("reply", 5, {"messages": []})


def breaks(reply: str, expected: Any, request: dict[str, Any]) -> bool:
    raise KeyError(reply)


def leaves(reply: str, expected: Any, request: dict[str, Any]) -> bool:
    sys.exit(reply)


async def later(reply: str, expected: Any, request: dict[str, Any]) -> bool:
    return True


def of_two(reply: str, expected: Any) -> bool:
    return True


class Words:
    """Graders may lie in a class."""

    @staticmethod
    def equal(reply: str, expected: str, request: dict[str, Any]) -> bool:
        return reply.split() == expected.split()


number = 5


def own(name: str) -> PythonGrader:
    return PythonGrader(call=f"{__name__}:{name}")


def test_it_is_given_reply_expected_value_and_request() -> None:
    """The request as a value."""
    assert grade(own("whole"), "reply", 5, request=json.dumps({"messages": []}).encode()) == 1.0
    assert grade(own("longer"), "reply", 5) == 0.0
    assert grade(own("Words.equal"), "a  b", "a b") == 1.0


@pytest.mark.parametrize("score", [True, False, 0, 1, 0.25])
def test_a_bool_or_a_number_from_0_to_1_is_a_score(score: float) -> None:
    """As it is."""
    assert grade(own("returned"), "", score) == float(score)


@pytest.mark.parametrize("score", [None, "1", 1.5, -0.1, float("nan"), [1]])
def test_anything_else_is_no_score(score: object) -> None:
    """Said, not guessed at."""
    with pytest.raises(GraderFailed, match=r"returned .* no bool and no number"):
        grade(own("returned"), "", score)


def test_what_it_raises_is_said_of_the_reply_and_goes_no_further() -> None:
    """Even if it wants to leave."""
    with pytest.raises(GraderFailed, match="raised KeyError: 'oh'"):
        grade(own("breaks"), "oh", 1)
    with pytest.raises(GraderFailed, match="raised SystemExit"):
        grade(own("leaves"), "oh", 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("nothing_of_that_name:grade", "ModuleNotFoundError"),
        (f"{__name__}:nowhere", "no attribute 'nowhere'"),
        (f"{__name__}:number", "is no function"),
        (f"{__name__}:later", "coroutine"),
        (f"{__name__}:of_two", "too many positional arguments"),
    ],
)
def test_a_function_that_cannot_be_used_is_a_mistake_of_the_configuration(call: str, said: str) -> None:
    """Found when the configuration is checked; a reply cannot be graded with it."""
    (mistake,) = mistakes(PythonGrader(call=call))
    assert mistake.startswith(f"call: {call} ") and said in mistake
    with pytest.raises(GraderFailed):
        grade(PythonGrader(call=call), "", 1)


def test_a_module_that_breaks_when_it_is_imported_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_grader.py").write_text("raise RuntimeError('not today')")
    (tmp_path / "leaving_grader.py").write_text("raise SystemExit(1)")
    assert "RuntimeError: not today" in mistakes(PythonGrader(call="broken_grader:grade"))[0]
    assert "SystemExit" in mistakes(PythonGrader(call="leaving_grader:grade"))[0]
    assert not mistakes(own("longer"))


def test_a_function_may_say_what_is_wrong() -> None:
    """A pair of score and text; the text is for the strong model."""
    assess = OwnFunction(PythonGrader(call=f"{__name__}:returned")).assess
    assert assess(Submission(text="x"), (0.5, "Too short.")) == Grade(score=0.5, remark="Too short.")
    assert assess(Submission(text="x"), True) == Grade(score=1.0)
    for other in ((0.5, 7), (0.5, "a", "b"), ("a", 0.5)):
        with pytest.raises(GraderFailed, match="nor a pair"):
            assess(Submission(text="x"), other)
