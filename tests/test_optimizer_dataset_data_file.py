"""A data file of examples: read line by line, unusable lines complained about."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import NumericGrader
from gateway.settings.graders import JudgeGrader, PythonGrader, PythonTestsGrader, ToolCallGrader
from optimizer.dataset.data_file import load_examples
from optimizer.dataset.items import BadData
from optimizer.dataset.recorded_request import digest

GRADER = NumericGrader()


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_an_input_becomes_one_user_message_and_messages_stay(tmp_path: Path) -> None:
    """Both forms of the contract; other keys are ignored."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    path = written(tmp_path, {"input": "1 + 1", "expected": 2, "source": "me"}, {"messages": messages, "expected": 3})
    examples = load_examples(path, GRADER)
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
    examples = load_examples(path, GRADER)
    assert len(examples.items) == 1
    assert [complaint.split(":")[0] for complaint in examples.complaints] == [
        f"line {n}" for n in (2, 3, 5, 6, 7, 8, 9)
    ]


def test_what_the_model_may_call_belongs_to_the_question(tmp_path: Path) -> None:
    """Tools and the form of the reply are asked with it."""
    tools = [{"type": "function", "function": {"name": "add"}}]
    path = written(tmp_path, {"input": "1 + 1", "tools": tools, "tool_choice": "auto", "expected": {"name": "add"}})
    (item,) = load_examples(path, ToolCallGrader()).items
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
    examples = load_examples(path, GRADER)
    assert [item.labelled_by for item in examples.items] == ["large", ""]
    assert examples.complaints[0].startswith("line 3: 'labelled_by' must be")


def test_reading_examples_runs_no_code(tmp_path: Path) -> None:
    """Tests and own functions wait for replies; what cannot be tests is listed."""
    path = written(tmp_path, {"input": "a", "expected": "import nowhere"}, {"input": "b", "expected": 5})
    examples = load_examples(path, PythonTestsGrader())
    assert len(examples.items) == 1 and examples.complaints[0].startswith("line 2: expected value '5'")
    assert len(load_examples(path, PythonGrader(call="nowhere:grade")).items) == 2


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
    examples = load_examples(path, GRADER, labelled=False)
    assert [item.expected for item in examples.items] == [None, 2, 3]
    assert [complaint.split(":")[0] for complaint in examples.complaints] == ["line 6", "line 7"]


def test_two_references_in_other_words_are_no_contradiction(tmp_path: Path) -> None:
    """A judge reads what they mean; the first one counts."""
    path = written(tmp_path, {"input": "x", "expected": "Oslo"}, {"input": "x", "expected": "It is Oslo"})
    examples = load_examples(path, JudgeGrader(model="m"))
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
    examples = load_examples(path, GRADER)
    assert len(examples.items) == 2
    assert examples.complaints == ("line 5: same input as line 4, another expected value; both left out",)


def test_a_file_without_a_usable_line_is_an_error_that_says_why(tmp_path: Path) -> None:
    """Empty, all wrong, or not there."""
    with pytest.raises(BadData, match="no example that can be used"):
        load_examples(written(tmp_path, ""), GRADER)
    with pytest.raises(BadData, match="line 1: 'expected' is missing"):
        load_examples(written(tmp_path, {"input": "a"}), GRADER)
    with pytest.raises(BadData, match="cannot be read: No such file"):
        load_examples(tmp_path / "nowhere.jsonl", GRADER)


def test_a_line_may_say_what_its_example_belongs_to(tmp_path: Path) -> None:
    """Examples of one conversation or one user share a cluster; an example may be chosen by its outcome."""
    path = written(
        tmp_path,
        {"input": "What is one?", "expected": 1, "conversation_id": "c"},
        {"input": "And two?", "expected": 2, "conversation_id": "c", "audit_rate": 0},
        {"input": "Something else", "expected": 3, "user": "u1"},
        {"input": "d", "expected": 4, "audit_rate": 2},
        {"input": "e", "expected": 5, "user": 7},
    )
    examples = load_examples(path, GRADER)
    first, second, third = examples.items
    assert first.cluster == second.cluster != third.cluster == ""
    assert [item.audit_rate for item in examples.items] == [1.0, 0.0, 1.0]
    assert third.tenant == digest("tenant", "u1")
    assert [complaint.split(":")[0] for complaint in examples.complaints] == ["line 4", "line 5"]


def test_sampling_settings_of_a_line_are_kept(tmp_path: Path) -> None:
    """The model is asked as the line says."""
    path = written(
        tmp_path, {"input": "a", "expected": 1, "temperature": 0.7, "seed": 5, "max_tokens": 9, "model": "m"}
    )
    (item,) = load_examples(path, GRADER).items
    assert json.loads(item.request) == {
        "messages": [{"role": "user", "content": "a"}], "temperature": 0.7, "seed": 5, "max_tokens": 9,
    }  # fmt: skip


def test_a_table_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """As a spreadsheet writes it."""
    path = tmp_path / "data.csv"
    path.write_bytes("question;answer\nWhat is 1?;1\nWhat is 2?;2\n".encode("utf-8-sig"))
    assert [item.expected for item in load_examples(path, GRADER).items] == ["1", "2"]
