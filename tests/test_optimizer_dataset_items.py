"""Examples: read from files and exchanges, complained about where unusable, split so that no part knows another."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange, Feedback
from gateway.settings import NumericGrader
from gateway.settings.graders import JudgeGrader, PythonGrader, PythonTestsGrader, ToolCallGrader
from gateway.store.base import Graded
from optimizer.dataset.items import BadData, from_graded, item_of, load_jsonl, split

GRADER = NumericGrader()


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_an_input_becomes_one_user_message_and_messages_stay(tmp_path: Path) -> None:
    """Both forms of the contract; other keys are ignored."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    path = written(tmp_path, {"input": "1 + 1", "expected": 2, "source": "me"}, {"messages": messages, "expected": 3})
    examples = load_jsonl(path, GRADER)
    assert [json.loads(item.request) for item in examples.items] == [
        {"messages": [{"role": "user", "content": "1 + 1"}]},
        {"messages": messages},
    ]
    assert [item.expected for item in examples.items] == [2, 3] and not examples.complaints


def test_unusable_lines_are_listed_with_their_number_and_the_rest_is_used(tmp_path: Path) -> None:
    """Broken JSON, no list, no expected value, no input, one that the grader cannot use."""
    path = written(
        tmp_path,
        {"input": "a", "expected": 1},
        "{",
        [1],
        "",
        {"input": "b"},
        {"expected": 1},
        {"input": 5, "expected": 1},
        {"messages": [], "expected": 1},
        {"input": "c", "expected": "many"},
    )
    examples = load_jsonl(path, GRADER)
    assert len(examples.items) == 1
    assert [complaint.split(":")[0] for complaint in examples.complaints] == [
        f"line {n}" for n in (2, 3, 5, 6, 7, 8, 9)
    ]


def test_what_the_model_may_call_belongs_to_the_question(tmp_path: Path) -> None:
    """Tools and the form of the reply are asked with it."""
    tools = [{"type": "function", "function": {"name": "add"}}]
    path = written(tmp_path, {"input": "1 + 1", "tools": tools, "tool_choice": "auto", "expected": {"name": "add"}})
    (item,) = load_jsonl(path, ToolCallGrader()).items
    assert json.loads(item.request) == {
        "messages": [{"role": "user", "content": "1 + 1"}], "tools": tools, "tool_choice": "auto",
    }  # fmt: skip


def test_a_line_may_say_which_model_its_label_is_from(tmp_path: Path) -> None:
    """So that whoever measures on it can say what the numbers mean."""
    path = written(
        tmp_path,
        {"input": "a", "expected": 1, "labelled_by": "large"},
        {"input": "b", "expected": 2},
        {"input": "c", "expected": 3, "labelled_by": 4},
    )
    examples = load_jsonl(path, GRADER)
    assert [item.labelled_by for item in examples.items] == ["large", ""]
    assert examples.complaints[0].startswith("line 3: 'labelled_by' must be")


def test_reading_examples_runs_no_code(tmp_path: Path) -> None:
    """Tests and own functions wait for replies; what cannot be tests is listed."""
    path = written(tmp_path, {"input": "a", "expected": "import nowhere"}, {"input": "b", "expected": 5})
    examples = load_jsonl(path, PythonTestsGrader())
    assert len(examples.items) == 1 and examples.complaints[0].startswith("line 2: expected value '5'")
    assert len(load_jsonl(path, PythonGrader(call="nowhere:grade")).items) == 2


def test_questions_without_an_answer_are_read_where_they_need_none(tmp_path: Path) -> None:
    """An answer that is there must be of use all the same, and wins over none."""
    path = written(
        tmp_path,
        {"input": "a"},
        {"input": "b", "expected": 2},
        {"input": "b"},
        {"input": "c"},
        {"input": "c", "expected": 3},
        {"input": "d", "expected": "many"},
        {"input": "e", "expected": None},
    )
    examples = load_jsonl(path, GRADER, labelled=False)
    assert [item.expected for item in examples.items] == [None, 2, 3]
    assert [complaint.split(":")[0] for complaint in examples.complaints] == ["line 6", "line 7"]


def test_two_references_in_other_words_are_no_contradiction(tmp_path: Path) -> None:
    """A judge reads what they mean; the first one counts."""
    path = written(tmp_path, {"input": "x", "expected": "Oslo"}, {"input": "x", "expected": "It is Oslo"})
    examples = load_jsonl(path, JudgeGrader(model="m"))
    assert [item.expected for item in examples.items] == ["Oslo"] and not examples.complaints


def test_duplicates_are_one_item_and_contradictions_none(tmp_path: Path) -> None:
    """White space makes no difference, case does; the same label may be a number or a text."""
    path = written(
        tmp_path,
        {"input": "What  is\n1?", "expected": 1},
        {"input": "What is 1?", "expected": "1"},
        {"input": "what is 1?", "expected": 1},
        {"input": "x", "expected": 1},
        {"input": "x", "expected": 2},
    )
    examples = load_jsonl(path, GRADER)
    assert len(examples.items) == 2
    assert examples.complaints == ("line 5: same input as line 4, another expected value; both left out",)


def test_a_file_without_a_usable_line_is_an_error_that_says_why(tmp_path: Path) -> None:
    """Empty, all wrong, or not there."""
    with pytest.raises(BadData, match="no example that can be used"):
        load_jsonl(written(tmp_path, ""), GRADER)
    with pytest.raises(BadData, match="line 1: 'expected' is missing"):
        load_jsonl(written(tmp_path, {"input": "a"}), GRADER)
    with pytest.raises(BadData, match="cannot be read: No such file"):
        load_jsonl(tmp_path / "nowhere.jsonl", GRADER)


def graded(
    question: str, reply: str | None, *, rules: int | None = None, model: str = "small", **feedback: Any
) -> Graded:
    request = {"model": "gpt", "stream": True, "temperature": 1, "messages": [{"role": "user", "content": question}]}
    exchange = Exchange(
        id=question, created=1.0, task="t", client_model="gpt", model=model, arm="weak", rules=rules, stream=True,
        status="ok", http_status=200, request=json.dumps(request).encode(), reply=reply,
    )  # fmt: skip
    return Graded(exchange=exchange, feedback=Feedback(exchange_id=question, created=2.0, **feedback))


def test_graded_exchanges_become_items_with_the_incumbents_replies() -> None:
    """The label is the feedback's, or the reply's where that was called right; delivery is stripped."""
    examples = from_graded(
        [graded("a", "It is 5", expected=6), graded("b", "It is 7", correct=True), graded("c", "8", score=1.0)],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert [item.expected for item in examples.items] == [6, "7", "8"]
    assert [examples.seen[item.id].correct for item in examples.items] == [False, True, True]
    assert json.loads(examples.items[0].request) == {
        "temperature": 1, "messages": [{"role": "user", "content": "a"}],
    }  # fmt: skip


def test_a_mistake_without_a_label_is_for_induction_only() -> None:
    """It cannot measure anything; praise and half scores say even less."""
    examples = from_graded(
        [graded("a", "5", correct=False), graded("b", "5", score=0.0), graded("c", "5", score=0.4), graded("d", None)],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert not examples.items and [mistake.reply for mistake in examples.mistakes] == ["5", "5"]


def test_replies_of_another_model_or_version_are_not_the_incumbents() -> None:
    """Their questions and labels still count."""
    examples = from_graded(
        [graded("a", "5", rules=1, expected=5), graded("b", "5", rules=2, expected=5),
         graded("c", "5", rules=2, model="large", expected=5), graded("d", "5", rules=1, correct=False)],
        GRADER, model="small", rules=2,
    )  # fmt: skip
    assert len(examples.items) == 3 and len(examples.seen) == 1 and not examples.mistakes


def test_feedback_that_cannot_be_graded_is_listed_not_raised() -> None:
    """A label that is no number, and two clients who disagree."""
    examples = from_graded(
        [graded("a", "5", expected="five"), graded("b", "5", expected=1), graded("b", "5", expected=2)],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert not examples.items and not examples.seen
    assert [complaint.split(":")[0] for complaint in examples.complaints] == ["exchange a", "exchange b"]


def test_where_the_text_of_a_reply_is_not_enough_the_feedback_judges_it() -> None:
    """A record has the text only: without a word of the client's nobody knows whether the calls were right."""
    wanted = {"name": "add", "arguments": {}}
    examples = from_graded(
        [graded("a", "", expected=wanted, correct=False), graded("b", "", expected=wanted, correct=True),
         graded("c", "", expected=wanted)],
        ToolCallGrader(), model="small", rules=None,
    )  # fmt: skip
    assert len(examples.items) == 3 and not examples.complaints
    assert [seen.correct for seen in examples.seen.values()] == [False, True]


def test_a_judge_is_not_asked_about_recorded_replies() -> None:
    """Feedback says whether they were right; one that was is a reference, and nobody's word makes none."""
    examples = from_graded(
        [graded("a", "Rome", expected="Oslo", correct=False), graded("b", "Bonn", correct=True),
         graded("c", "Rome", expected="Oslo"), graded("d", "Rome", correct=False)],
        JudgeGrader(model="m"), model="small", rules=None,
    )  # fmt: skip
    assert [item.expected for item in examples.items] == ["Oslo", "Bonn", "Oslo"] and not examples.complaints
    assert [seen.correct for seen in examples.seen.values()] == [False, True]
    assert [mistake.reply for mistake in examples.mistakes] == ["Rome"]


def test_right_calls_in_a_record_label_nothing() -> None:
    """The record does not have them."""
    examples = from_graded([graded("a", "", correct=True)], ToolCallGrader(), model="small", rules=None)
    assert not examples.items and examples.complaints[0].startswith("exchange a: ")


def test_a_grader_that_fails_on_a_recorded_reply_leaves_it_to_the_feedback() -> None:
    """The question and its label count all the same."""
    lost = PythonGrader(call="nowhere:grade")
    examples = from_graded(
        [graded("a", "5", expected=5), graded("b", "5", expected=6, correct=False)], lost, model="small", rules=None
    )
    assert len(examples.items) == 2 and [seen.correct for seen in examples.seen.values()] == [False]


ITEMS = [item_of({"messages": [{"role": "user", "content": str(number)}]}, number) for number in range(600)]


@given(st.sets(st.sampled_from(range(600)), min_size=1), st.text(max_size=5))
def test_no_item_is_in_two_parts_and_none_changes_its_part_when_others_come(chosen: set[int], salt: str) -> None:
    """The hash of an item and the salt decide, nothing else."""
    some = split([ITEMS[number] for number in chosen], salt=salt, selection=999, confirmation=999)
    every = split(ITEMS, salt=salt, selection=999, confirmation=999)
    for name in ("induction", "selection", "confirmation"):
        assert {item.id for item in getattr(some, name)} <= {item.id for item in getattr(every, name)}
    ids = [item.id for part in (every.induction, every.selection, every.confirmation) for item in part]
    assert len(ids) == len(set(ids)) == 600


def test_parts_are_about_30_30_and_40_percent_and_capped() -> None:
    """The cap leaves items out; it does not move them to another part."""
    every = split(ITEMS, salt="t", selection=999, confirmation=999)
    shares = [len(part) / 600 for part in (every.induction, every.selection, every.confirmation)]
    assert shares == pytest.approx([0.3, 0.3, 0.4], abs=0.06)
    capped = split(ITEMS, salt="t", selection=20, confirmation=40)
    assert capped.selection == every.selection[:20] and capped.confirmation == every.confirmation[:40]
    assert capped.induction == every.induction


def test_an_item_that_confirmed_something_confirms_nothing_again() -> None:
    """It may still teach."""
    first = split(ITEMS, salt="t", selection=20, confirmation=40)
    spent = frozenset(item.id for item in first.confirmation)
    second = split(ITEMS, salt="t", selection=20, confirmation=40, spent=spent)
    assert not spent & {item.id for item in (*second.confirmation, *second.selection)}
    assert spent <= {item.id for item in second.induction}
