"""The grader of tool calls: names and arguments, as the caller receives them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.domain import ToolCall
from gateway.settings.graders import ToolCallGrader
from optimizer.grading.graders import Submission, Ungradable
from optimizer.grading.graders.tool_call import ExpectedCalls, shown
from tests import grading

IN_ORDER, ANY_ORDER = ToolCallGrader(), ToolCallGrader(order=False)
OSLO = {"name": "weather", "arguments": {"city": "Oslo", "days": 2}}
ROME = {"name": "weather", "arguments": {"city": "Rome"}}


def call(name: str, arguments: str) -> ToolCall:
    return ToolCall(name=name, arguments=arguments)


def grade(section: ToolCallGrader, calls: Sequence[ToolCall], expected: Any) -> float:
    return grading.grade(section, "", expected, tool_calls=calls)


def label(calls: Sequence[ToolCall] | None) -> Any:
    return grading.label(IN_ORDER, "", calls)


GIVEN_OSLO, GIVEN_ROME = call("weather", '{"days": 2.0, "city": "Oslo"}'), call("weather", '{"city":"Rome"}')


def test_name_and_arguments_must_be_the_expected_ones() -> None:
    """Arguments are compared as values: spelling and order of keys do not matter."""
    assert grade(IN_ORDER, [GIVEN_OSLO], OSLO)
    assert grade(IN_ORDER, [GIVEN_OSLO], [OSLO])
    assert grade(IN_ORDER, [GIVEN_OSLO], json.dumps(OSLO))
    for wrong in (call("wether", GIVEN_OSLO.arguments), call("weather", '{"city": "Oslo"}'), GIVEN_ROME):
        assert not grade(IN_ORDER, [wrong], OSLO)


def test_expected_calls_may_be_written_as_they_are_in_replies() -> None:
    """So that logged replies can be used as data."""
    logged = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    assert grade(IN_ORDER, [GIVEN_ROME], [logged])


def test_every_call_is_wanted_and_no_other() -> None:
    """One too many is as wrong as one too few; no call may be what is expected."""
    assert not grade(IN_ORDER, [], OSLO)
    assert not grade(IN_ORDER, [GIVEN_OSLO, GIVEN_OSLO], OSLO)
    assert grade(IN_ORDER, [], []) and not grade(IN_ORDER, [GIVEN_OSLO], [])


def test_the_order_of_several_calls_matters_unless_the_section_says_otherwise() -> None:
    """Each expected call answers for one given call."""
    swapped = [GIVEN_ROME, GIVEN_OSLO]
    assert not grade(IN_ORDER, swapped, [OSLO, ROME])
    assert grade(ANY_ORDER, swapped, [OSLO, ROME])
    assert not grade(ANY_ORDER, [GIVEN_ROME, GIVEN_ROME], [OSLO, ROME])
    assert grade(ANY_ORDER, [GIVEN_ROME, GIVEN_ROME], [ROME, ROME])


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_a_tool_without_parameters_is_called_with_nothing(arguments: str) -> None:
    """Models write that in several ways; so does data."""
    for expected in ({"name": "now"}, {"name": "now", "arguments": {}}, {"name": "now", "arguments": ""}):
        assert grade(IN_ORDER, [call("now", arguments)], expected)


@pytest.mark.parametrize("arguments", ["{", "{'city': 'Rome'}", '{"city": "Rome"}}', "[" * 10_000])
def test_arguments_that_are_no_json_are_wrong(arguments: str) -> None:
    """The caller's code could not read them."""
    assert not grade(IN_ORDER, [call("weather", arguments)], ROME)


@pytest.mark.parametrize("expected", [None, 5, "weather", {"arguments": {}}, [{"name": 1}], {"function": 1}, "{"])
def test_an_expected_value_that_is_no_call_is_an_error_that_names_it(expected: object) -> None:
    """Such an item must be left out."""
    with pytest.raises(Ungradable, match="tool call"):
        grade(IN_ORDER, [], expected)


def test_right_calls_label_themselves() -> None:
    """Broken arguments and an empty reply label nothing; a text without a call is an answer."""
    assert label([GIVEN_OSLO]) == [OSLO] and grade(IN_ORDER, [GIVEN_OSLO], label([GIVEN_OSLO]))
    assert label([call("now", "")]) == [{"name": "now", "arguments": {}}]
    assert grading.label(IN_ORDER, "Which city?", []) == []
    for nothing in ([call("weather", "{")], [], None):
        with pytest.raises(Ungradable):
            label(nothing)


def test_a_reply_with_calls_can_be_shown_as_one_text() -> None:
    """In the form of an expected value, so that a reader can compare; arguments that are no JSON stay as they are."""
    assert shown(Submission(text="Hello")) == "Hello"
    assert json.loads(shown(Submission(text="", tool_calls=(GIVEN_OSLO,)))) == [OSLO]
    assert (
        shown(Submission(text="Let me look.", tool_calls=(call("f", "{"),)))
        == 'Let me look.\n[{"name":"f","arguments":"{"}]'
    )


@pytest.mark.parametrize(
    ("calls", "remark"),
    [
        ([], "called: no tool; expected: weather"),
        ([GIVEN_OSLO, GIVEN_ROME], "called: weather, weather; expected: weather"),
        ([call("weather", "{")], "the arguments of weather are not JSON"),
        ([GIVEN_ROME], "arguments of weather that are missing, wrong or too many: city, days"),
        ([GIVEN_OSLO], ""),
    ],
)
def test_the_first_difference_is_the_remark(calls: Sequence[ToolCall], remark: str) -> None:
    """Names of tools and arguments, no values."""
    assert ExpectedCalls(IN_ORDER).assess(Submission(text="", tool_calls=tuple(calls)), OSLO).remark == remark
