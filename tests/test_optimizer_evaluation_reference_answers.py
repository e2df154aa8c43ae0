"""The strong model's answers as labels: paid once, marked as its own, refused where they label nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import RuleSet, ToolCall
from gateway.settings import ExactGrader, Grader, NumericGrader, RegexGrader
from gateway.settings.graders import JsonSchemaGrader, JudgeGrader, PythonGrader, PythonTestsGrader, ToolCallGrader
from optimizer.dataset.items import BadData, Item, item_of
from optimizer.evaluation.budget import BudgetSpent
from optimizer.evaluation.evaluator import Answer
from optimizer.evaluation.reference_answers import describe_labels, label_items, with_label
from optimizer.grading.graders import Ungradable
from tests.scripted import GRADER, Counting, evaluator, question, questions


class Knowing(Counting):
    """Gets every sum right, except that it is sometimes at a loss."""

    def __init__(self, *, lost_on: int = -1) -> None:
        super().__init__("large")
        self.lost_on = lost_on

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        words = body["messages"][-1]["content"].rstrip("?").split()
        right = int(words[2]) + int(words[-1]) * (2 if "twice" in words else 1)
        return ("I do not know." if int(words[2]) == self.lost_on else f"It is {right}."), 6


def unlabelled(count: int) -> list[Item]:
    return [item_of(json.loads(item.request), None) for item in questions(count)]


async def test_what_nobody_labelled_gets_the_strong_models_answer_and_its_name(tmp_path: Path) -> None:
    """In the items' order, in the form that the grader expects, with what it cost."""
    desk, known = evaluator(tmp_path), question(99, hard=True)
    found = await label_items(desk, Knowing(), [*unlabelled(3), known, *unlabelled(5)[3:]], GRADER)
    assert [item.id for item in found.items] == [item.id for item in [*questions(3), known, *questions(5)[3:]]]
    assert [float(item.expected) for item in found.items] == [
        float(item.expected) for item in [*questions(3), known, *questions(5)[3:]]
    ]
    assert [item.labelled_by for item in found.items] == ["large"] * 3 + [""] + ["large"] * 2
    assert (found.calls, found.tokens, found.complaints) == (5, 5 * 56, ())


async def test_labels_are_paid_for_once_and_the_strong_model_is_measured_for_nothing(tmp_path: Path) -> None:
    """Asked for again, or as an arm of its own."""
    desk, strong = evaluator(tmp_path), Knowing()
    first = await label_items(desk, strong, unlabelled(6), GRADER)
    again = await label_items(desk, strong, unlabelled(6), GRADER)
    assert (again.items, again.calls, again.tokens) == (first.items, 0, 0)
    trials = await desk.trials(strong, first.items, None, GRADER, stage="strong")
    assert all(trial.correct for trial in trials) and strong.total == 6


async def test_an_answer_that_labels_nothing_leaves_its_item_out(tmp_path: Path) -> None:
    """And says so."""
    found = await label_items(evaluator(tmp_path), Knowing(lost_on=1007), unlabelled(4), GRADER)
    assert len(found.items) == 3
    (complaint,) = found.complaints
    assert "large's answer labels nothing: expected value 'I do not know.'" in complaint


async def test_nothing_is_asked_where_nothing_is_missing(tmp_path: Path) -> None:
    """Whatever the grader is."""
    strong = Knowing()
    found = await label_items(evaluator(tmp_path), strong, questions(3), PythonTestsGrader())
    assert found.items == tuple(questions(3)) and strong.total == 0


@pytest.mark.parametrize("grader", [PythonTestsGrader(), PythonGrader(call="a:b"), RegexGrader()])
async def test_a_grader_that_needs_more_than_an_answer_is_told_before_anything_is_paid(
    tmp_path: Path, grader: Grader
) -> None:
    """Tests, and what one's own function wants, are nothing that a reply says."""
    strong = Knowing()
    with pytest.raises(BadData, match="no expected value for the grader"):
        await label_items(evaluator(tmp_path), strong, unlabelled(3), grader)
    assert strong.total == 0


async def test_the_budget_holds_for_labels_too(tmp_path: Path) -> None:
    """They are calls like others."""
    with pytest.raises(BudgetSpent):
        await label_items(evaluator(tmp_path, calls=2), Knowing(), unlabelled(9), GRADER)


ITEM = item_of({"messages": [{"role": "user", "content": "q"}]}, None)
CALL = ToolCall(name="f", arguments='{"a": 1}')


@pytest.mark.parametrize(
    ("grader", "answer", "expected"),
    [
        (NumericGrader(), Answer(text="It is 5."), "5"),
        (ExactGrader(), Answer(text=" yes\n", finish_reason="stop"), "yes"),
        (RegexGrader(pattern="= (.*)"), Answer(text="x = 5"), "5"),
        (JsonSchemaGrader(), Answer(text='{"a": 1}'), '{"a": 1}'),
        (JudgeGrader(model="m"), Answer(text="It is Oslo."), "It is Oslo."),
        (ToolCallGrader(), Answer(text="", tool_calls=(CALL,)), [{"name": "f", "arguments": {"a": 1}}]),
        (ToolCallGrader(), Answer(text="Hello", finish_reason="stop"), []),
    ],
)
def test_an_answer_labels_in_the_graders_own_form(grader: Grader, answer: Answer, expected: object) -> None:
    """What the grader would compare with."""
    found = with_label(ITEM, grader, "large", answer)
    assert (found.expected, found.labelled_by, found.id) == (expected, "large", ITEM.id)


@pytest.mark.parametrize(
    ("grader", "answer"),
    [
        (ExactGrader(), Answer(text="It is Os", finish_reason="length")),
        (ExactGrader(), Answer(text="It", finish_reason="content_filter")),
        (ExactGrader(), Answer(text=" ")),
        (JudgeGrader(model="m"), Answer(text="")),
        (JsonSchemaGrader(schema={"type": "array"}), Answer(text="{}")),
        (ToolCallGrader(), Answer(text="", tool_calls=(ToolCall(name="", arguments="{"),))),
    ],
)
def test_an_answer_that_is_no_sound_label_is_refused(grader: Grader, answer: Answer) -> None:
    """Cut off, filtered, empty, or not of the form."""
    with pytest.raises(Ungradable):
        with_label(ITEM, grader, "large", answer)


def test_what_quality_means_is_said_in_words() -> None:
    """Wherever a label is a model's own."""
    own = with_label(ITEM, GRADER, "large", Answer(text="5"))
    assert describe_labels([*questions(3), own]) == (
        "1 of 4 expected answers are large's own: on them quality means agreement with large, not correctness"
    )
    assert describe_labels(questions(3)) == describe_labels([]) == ""
