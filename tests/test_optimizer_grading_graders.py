"""The registry of graders: the configuration's kind decides."""

import json

import pytest

from gateway.domain import ToolCall
from gateway.settings import ExactGrader, Grader, NumericGrader, RegexGrader, Task
from gateway.settings.graders import JsonSchemaGrader, JudgeGrader, PythonGrader, PythonTestsGrader, ToolCallGrader
from optimizer.grading.graders import GraderFailed, Ungradable, grader_for, mistakes
from optimizer.grading.sandbox.base import NoSandbox
from tests.grading import grade, label


def share_of_words(reply: str, expected: str, request: dict[str, object]) -> float:
    """A user's own grader."""
    words = expected.split()
    return sum(word in reply for word in words) / len(words)


def asks(reply: str, expected: str, request: dict[str, object]) -> bool:
    """A user's own grader that looks at the request."""
    return request["messages"] == expected


OWN = PythonGrader(call=f"{__name__}:share_of_words")


@pytest.mark.parametrize(
    ("grader", "reply", "expected", "score"),
    [
        (NumericGrader(), "It is 5", 5, 1.0),
        (ExactGrader(), "It is 5", 5, 0.0),
        (RegexGrader(), "It is 5", "is [0-9]", 1.0),
        (JsonSchemaGrader(), "5.0", 5, 1.0),
        (OWN, "It is 5", "It was", 0.5),
        (ToolCallGrader(), "It is 5", [], 1.0),
    ],
)
def test_each_kind_has_its_own_idea_of_right(grader: Grader, reply: str, expected: object, score: float) -> None:
    """A score is 1.0 for right, 0.0 for wrong; only a user's own grader may say something between."""
    assert grade(grader, reply, expected) == score


def test_a_grader_sees_calls_and_request_where_it_needs_them() -> None:
    """More than the text of the reply."""
    call = ToolCall(name="f", arguments='{"a": 1}')
    assert grade(ToolCallGrader(), "", {"name": "f", "arguments": {"a": 1}}, tool_calls=[call]) == 1.0
    own = PythonGrader(call=f"{__name__}:asks")
    assert grade(own, "", ["hello"], request=json.dumps({"messages": ["hello"]}).encode()) == 1.0


def test_which_graders_can_grade_a_record() -> None:
    """Those that need no model: a judge would have to be paid."""
    graders = (OWN, JsonSchemaGrader(), ToolCallGrader(), JudgeGrader())
    assert [grader_for(grader).grades_records for grader in graders] == [True, True, True, False]


def test_a_judge_is_not_asked_here() -> None:
    """It is a model: a reply is neither right nor wrong without it."""
    with pytest.raises(GraderFailed, match="only an evaluator"):
        grade(JudgeGrader(model="m"), "It is Oslo", "Oslo")


def test_each_kind_labels_a_right_reply_in_its_own_way() -> None:
    """Or says that it cannot."""
    assert label(NumericGrader(), "It is 5") == "5"
    assert label(ExactGrader(), "It is 5 ") == "It is 5"
    assert label(JsonSchemaGrader(), ' {"a": 5}') == '{"a": 5}'
    assert label(JudgeGrader(), "It is 5 ") == "It is 5"
    assert label(RegexGrader(pattern="[0-9]"), "It is 5") == "5"
    assert label(ToolCallGrader(), "", [ToolCall(name="f", arguments="{}")]) == [{"name": "f", "arguments": {}}]
    for grader in (RegexGrader(), ToolCallGrader(), PythonTestsGrader(), OWN):
        with pytest.raises(Ungradable):
            label(grader, "It is 5", None)


def test_which_graders_take_another_reply_for_an_expected_answer() -> None:
    """Known before any reply is paid for."""
    no = (RegexGrader(), PythonTestsGrader(), OWN)
    yes = (
        NumericGrader(),
        ExactGrader(),
        RegexGrader(pattern="x"),
        JsonSchemaGrader(),
        ToolCallGrader(),
        JudgeGrader(),
    )
    assert all(grader_for(grader).can_label for grader in yes)
    assert not any(grader_for(grader).can_label for grader in no)


def test_two_expected_answers_contradict_each_other_unless_they_are_read_for_what_they_mean() -> None:
    """A question has one number and many good references."""
    assert grader_for(ExactGrader()).contradict("Oslo", "It is Oslo") and not grader_for(ExactGrader()).contradict(
        5, "5"
    )
    assert not grader_for(JudgeGrader()).contradict("Oslo", "It is Oslo")


@pytest.mark.parametrize(
    ("grader", "expected"),
    [
        (NumericGrader(), "five"),
        (JsonSchemaGrader(), "{"),
        (ToolCallGrader(), 5),
        (PythonTestsGrader(), {"test": 1}),
        (JudgeGrader(), ""),
    ],
)
def test_an_expected_value_that_fits_no_reply_is_found_before_there_is_one(grader: Grader, expected: object) -> None:
    """When data is read, not when replies have been paid for."""
    with pytest.raises(Ungradable):
        grader_for(grader).examine(expected)


def test_examining_an_expected_value_runs_no_code() -> None:
    """Neither the tests of an item nor a user's own function."""
    grader_for(PythonTestsGrader()).examine("import nothing_of_that_name")
    grader_for(PythonGrader(call="nothing_of_that_name:grade")).examine(None)


def test_graders_that_run_code_are_kept_off_the_event_loop() -> None:
    """They may take seconds; comparing takes microseconds."""
    slow = [grader_for(grader).is_slow for grader in (PythonTestsGrader(), OWN, NumericGrader(), JsonSchemaGrader())]
    assert slow == [True, True, False, False]


def test_every_mistake_in_the_tasks_graders_is_listed_with_its_key() -> None:
    """A schema that is none, a function that is not there; the rest is fine."""
    graders: dict[str, Grader] = {
        "numbers": NumericGrader(),
        "orders": JsonSchemaGrader(schema={"type": "objec"}),
        "own": OWN,
        "lost": PythonGrader(call=f"{__name__}:nowhere"),
    }
    found = mistakes({name: Task(weak="w", strong="s", grader=grader) for name, grader in graders.items()})
    assert [mistake.partition(": ")[0] for mistake in found] == ["tasks.orders.grader.schema", "tasks.lost.grader.call"]


def test_a_grader_that_fails_on_a_reply_is_one_kind_of_ungradable() -> None:
    """Whoever leaves out items need not know which. A missing sandbox says nothing of any reply: it ends the run."""
    assert issubclass(GraderFailed, Ungradable) and not issubclass(NoSandbox, Ungradable)
