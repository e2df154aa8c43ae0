"""Examples of other tools, read into our own keys."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import PreceptorError
from optimizer.dataset.data_formats import example_in, records_in
from optimizer.dataset.items import BadData

ASKED = [{"role": "user", "content": "1 + 1?"}]


def example(record: Any) -> tuple[Any, Any]:
    found = example_in(json.dumps(record).encode())
    return found["messages"], found.get("expected")


def places(data: bytes) -> list[str]:
    return [place for place, _ in records_in(data)]


@pytest.mark.parametrize(
    "record",
    [
        {"input": "1 + 1?", "expected": "2"},
        {"input": ASKED, "expected": "2"},
        {"messages": ASKED, "expected": "2"},
        {"input": ASKED, "ideal": "2"},
        {"messages": [*ASKED, {"role": "assistant", "content": "2"}]},
        {"vars": {"question": "1 + 1?"}, "assert": [{"type": "equals", "value": "2"}]},
        {"vars": {"sum": "1 + 1?"}, "assert": [{"type": "latency"}, {"type": "equals", "value": "2"}]},
        {"input": {"messages": ASKED}, "expectedOutput": "2", "id": "x"},
        {"input": {"question": "1 + 1?"}, "expectedOutput": "2"},
        {"inputs": {"messages": ASKED}, "expectations": {"expected_response": "2"}},
        {"inputs": {"question": "1 + 1?"}, "ground_truth": "2"},
        {"question": "1 + 1?", "answer": "2"},
        {"prompt": "1 + 1?", "completion": "2"},
        {"question": "1 + 1?", "__expected": "2"},
    ],
)
def test_every_common_format_is_the_same_example(record: dict[str, Any]) -> None:
    """OpenAI's evals and fine-tuning, promptfoo, Langfuse, MLflow, DSPy, and our own."""
    assert example(record) == (ASKED, "2")


def test_several_ideal_answers_stay_a_list() -> None:
    """For the grader ``exact``."""
    assert example({"input": ASKED, "ideal": ["2", "two"]}) == (ASKED, ["2", "two"])


def test_a_call_at_the_end_of_a_tuning_example_is_expected() -> None:
    """In the form in which the grader of calls reads it."""
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    assert example({"messages": [*ASKED, {"role": "assistant", "tool_calls": [call]}]}) == (ASKED, [call])


@pytest.mark.parametrize("record", [{}, {"input": 5}, {"expected": 1}, {"vars": {"a": "b", "c": "d"}}, {"inputs": []}])
def test_a_record_without_a_question_is_refused(record: dict[str, Any]) -> None:
    """Which of two variables is the question is not guessed."""
    with pytest.raises(BadData, match="missing"):
        example(record)


def test_a_byte_order_mark_loses_no_example() -> None:
    """As Windows writes it, in UTF-8 and in UTF-16."""
    line = '{"input": "a", "expected": 1}'
    for data in (line.encode("utf-8-sig"), line.encode("utf-16")):
        assert [json.loads(record) for _, record in records_in(data)] == [json.loads(line)]
    with pytest.raises(BadData, match="UTF-8"):
        list(records_in(b'{"input": "\xff"}'))


def test_a_json_array_or_an_export_is_a_list_of_examples() -> None:
    """Pretty-printed or not, alone or under the key of an export."""
    rows = [{"input": "a", "expected": 1}, {"input": "b", "expected": 2}]
    for value in (rows, {"tests": rows}, {"data": rows, "meta": {}}, {"results": {"results": rows}}):
        for data in (json.dumps(value), json.dumps(value, indent=2)):
            assert places(data.encode()) == ["item 1", "item 2"]
    assert places(json.dumps(rows[0], indent=1).encode()) == ["item 1"]
    with pytest.raises(BadData):
        list(records_in(b"[1, "))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_by_its_header(separator: str) -> None:
    """Quoted cells may hold line breaks; the place is the line on which a row ends."""
    table = f'input{separator}expected\n"a{separator}\nb"{separator}1\nc{separator}[2]\n'
    assert places(table.encode()) == ["line 3", "line 4"]
    first, second = (json.loads(record) for _, record in records_in(table.encode()))
    assert first == {"input": f"a{separator}\nb", "expected": "1"} and second["expected"] == [2]


def test_lines_keep_their_numbers() -> None:
    """Also behind an empty one, and a broken one is handed on."""
    assert list(records_in(b'{"a": 1}\n\n{')) == [("line 1", b'{"a": 1}'), ("line 3", b"{")]


@given(st.binary(max_size=80) | st.text(alphabet='[]{}",:;\n abinputexpcd1', max_size=80).map(str.encode))
def test_no_file_breaks_the_reader(data: bytes) -> None:
    """It is read, or refused."""
    try:
        for _, record in records_in(data):
            example_in(record)
    except PreceptorError:
        pass
