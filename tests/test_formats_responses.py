"""Requests of the Responses API: rules go into the instructions, working behind the question."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.formats.envelope import raw
from gateway.formats.responses import ResponsesRequest, open_responses
from gateway.forms.base import Form
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS, WORKING_TOKENS
from tests.conversations import guided

SYSTEM = {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}
USER = {"role": "user", "content": "What is 2 + 2?"}
PARTS = {"role": "user", "content": [{"type": "input_text", "text": "What is 2 + 2?"}]}
IMAGE = {"role": "user", "content": [{"type": "input_image", "image_url": "http://127.0.0.1/x.png"}]}
RULES = "Rules.\n1. Work in steps."


def asked(**fields: Any) -> ResponsesRequest:
    return open_responses(bytes(raw({"model": "m", **fields})))


def sent(envelope: ResponsesRequest, changes: dict[str, Any]) -> dict[str, Any]:
    """The body that goes upstream with these changes."""
    body: dict[str, Any] = json.loads(envelope.sealed(changes))
    return body


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input": "hi", "instructions": "Be brief."}, "Be brief."),
        ({"input": [SYSTEM, USER]}, "Be brief."),
        ({"input": [USER, SYSTEM]}, None),
        ({"input": "hi"}, None),
        ({"input": []}, None),
        ({}, None),
    ],
)
def test_the_system_text_is_the_instructions_or_the_first_developer_item(
    fields: dict[str, Any], expected: str | None
) -> None:
    """Tasks are recognised by it, as in a chat."""
    assert asked(**fields).system_text() == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [({}, "RULES"), ({"instructions": None}, "RULES"), ({"instructions": "Be brief."}, "Be brief.\n\nRULES")],
)
def test_rules_follow_the_callers_instructions(told: dict[str, Any], expected: str) -> None:
    """The input keeps its bytes; without rules nothing changes."""
    envelope = asked(input=[USER], **told)
    assert sent(envelope, envelope.with_system("RULES")) == {"model": "m", "input": [USER], "instructions": expected}
    assert envelope.with_system("") == {}


@pytest.mark.parametrize(
    ("given_input", "expected"),
    [
        ("2 + 2?", "2 + 2? W"),
        ([SYSTEM, USER], [SYSTEM, {**USER, "content": "What is 2 + 2? W"}]),
        ([PARTS], [{"role": "user", "content": [*PARTS["content"], {"type": "input_text", "text": " W"}]}]),
    ],
)
def test_working_stands_behind_the_question(given_input: Any, expected: Any) -> None:
    """As in a chat, whatever form the input has."""
    envelope = asked(input=given_input, store=False)
    assert sent(envelope, envelope.with_question(" W").content())["input"] == expected


@pytest.mark.parametrize("state", [{}, {"store": True}, {"conversation": "conv_1", "store": False}])
def test_nothing_is_added_to_a_question_that_the_upstream_keeps(state: dict[str, Any]) -> None:
    """Later requests build on the stored turns: the working and the examples join the instructions of this call."""
    envelope = asked(input="2 + 2?", instructions="Be brief.", **state)
    taught = envelope.with_turns([("1 + 1?", "2")]).with_question("\n\nWorking:\nW")
    body = sent(taught, taught.content())
    assert body["input"] == "2 + 2?"
    assert body["instructions"] == ("Be brief.\n\nExamples:\n\nQuestion: 1 + 1?\nAnswer: 2\n\nWorking:\nW")


@pytest.mark.parametrize("given_input", ["2 + 2?", [USER]])
def test_examples_are_turns_before_the_question(given_input: Any) -> None:
    """As in a chat, behind the caller's system text."""
    envelope = asked(input=given_input, store=False)
    turns = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    question = USER if isinstance(given_input, list) else {"role": "user", "content": "2 + 2?"}
    assert sent(envelope, envelope.with_turns([("1 + 1?", "2")]).content())["input"] == [*turns, question]
    with_system = asked(input=[SYSTEM, USER], store=False)
    assert sent(with_system, with_system.with_turns([("1 + 1?", "2")]).content())["input"] == [SYSTEM, *turns, USER]


def test_rules_follow_a_system_text_among_the_items() -> None:
    """They say that they win over the text above, so there must be one."""
    envelope = asked(input=[SYSTEM, USER], store=False)
    body = sent(envelope, envelope.with_system("RULES"))
    assert body["input"][0]["content"][-1] == {"type": "input_text", "text": "\n\nRULES"}
    assert "instructions" not in body


def test_a_system_text_that_the_upstream_keeps_is_repeated_above_the_rules() -> None:
    """A stored turn stays as it came: with the rules in it, later turns would read them for ever."""
    for item in (SYSTEM, {"role": "system", "content": "Be brief."}):
        envelope = asked(input=[item, USER])
        body = sent(envelope, envelope.with_system("RULES"))
        assert (body["input"], body["instructions"]) == ([item, USER], "Be brief.\n\nRULES")
    pictured = asked(input=[{**IMAGE, "role": "system"}, USER])
    assert sent(pictured, pictured.with_system("RULES"))["instructions"] == "RULES"


def test_the_model_may_be_left_out() -> None:
    """A stored prompt or the upstream may name it; an empty name is a mistake."""
    assert open_responses(b'{"prompt":{"id":"pmpt_1"}}').model == open_responses(b'{"input":"2 + 2?"}').model == ""
    with pytest.raises(BadRequest):
        open_responses(b'{"model":"","input":"2 + 2?"}')


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"input": "2 + 2?"}, TWO_PASS),
        ({"input": [USER]}, TWO_PASS),
        ({"input": [PARTS]}, TWO_PASS),
        ({"input": [IMAGE]}, None),
        ({"input": [USER, {"type": "function_call_output", "call_id": "c", "output": "4"}]}, None),
        ({"input": []}, None),
        ({}, None),
        ({"input": "2 + 2?", "tools": [{"type": "web_search"}]}, None),
        ({"input": "2 + 2?", "background": True}, None),
        ({"input": "2 + 2?", "conversation": "conv_1"}, None),
        ({"input": "2 + 2?", "previous_response_id": "resp_1"}, TWO_PASS),
        ({"input": "2 + 2?", "tools": [{}], "tool_choice": {"type": "function", "name": "f"}}, TWO_PASS),
    ],
)
def test_the_form_that_a_request_can_have(fields: dict[str, Any], form: Form | None) -> None:
    """Nothing can be cut out of a response's stream, so tags become two passes."""
    request = asked(**fields)
    for wanted in (TAGS, TWO_PASS):
        fitting = wanted.for_request(request) if wanted.obstacle(request) is None else None
        assert fitting is form


def test_a_first_pass_is_plain_text_with_a_bound_of_its_own() -> None:
    """The reply's format, limit and stream do not belong to the working."""
    envelope = asked(input="2 + 2?", stream=True, text={"format": {"type": "json_object"}}, max_output_tokens=3)
    body = sent(envelope, TWO_PASS.first_pass(envelope, guided("Work in steps.")).changes)
    assert set(body) == {"model", "input", "instructions", "max_output_tokens", "store"}
    assert body["store"] is False
    assert body["max_output_tokens"] == WORKING_TOKENS


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", None),
        (b'{"model":null}', "model"),
        (b'{"model":"m","input":3}', "input"),
        (b'{"model":"m","input":["hi"]}', "input[0]"),
        (b'{"model":"m","instructions":3}', "instructions"),
        (b'{"model":"m","stream":"yes"}', "stream"),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_place(body: bytes, param: str | None) -> None:
    """In OpenAI's words, with the field."""
    with pytest.raises(BadRequest) as caught:
        open_responses(body)
    assert caught.value.param == param


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "type", "text"]), inner),
)


@given(ODD, ODD, ODD)
def test_odd_requests_never_break_what_reads_them(told: Any, given_input: Any, tools: Any) -> None:
    """A body of any shape can be looked into and changed, or is the client's mistake."""
    try:
        envelope = asked(instructions=told, input=given_input, tools=tools)
        envelope.system_text()
        envelope.sealed(envelope.with_system("RULES"))
        if TWO_PASS.obstacle(envelope) is None:
            taught = envelope.with_turns([("Q", "A")]).with_question("W")
            taught.sealed({**taught.content(), **taught.hidden(5)})
    except BadRequest:
        return
