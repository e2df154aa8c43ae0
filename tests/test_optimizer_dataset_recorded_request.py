"""A recorded request: who asked what with which tools and settings, whichever API the client spoke."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import ToolCall
from gateway.formats.messages import open_messages
from optimizer.dataset.recorded_request import SamplingSettings, conversation_of, read_request

QUESTION = "How do I reset the pump of unit 7?"


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def replied(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def body(*messages: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def tenant(request: bytes) -> str | None:
    return read_request(request).tenant


def question(request: bytes) -> str:
    return read_request(request).question


FIRST = body(user(QUESTION))
AGAIN = body(user(QUESTION), replied("Press it."), user("how do I reset  the pump of unit 7?"))


def test_all_turns_of_a_conversation_have_one_key() -> None:
    """Also when its answers differ, and when the client gives a key itself."""
    assert conversation_of(FIRST) == conversation_of(AGAIN)
    assert conversation_of(FIRST) != conversation_of(body(user("Another beginning")))
    for own in ({"metadata": {"conversation_id": "c1"}}, {"prompt_cache_key": "c1"}, {"conversation": {"id": "c1"}}):
        one, other = body(user("x"), **own), body(user("y"), **own)
        assert conversation_of(one) == conversation_of(other) != conversation_of(body(user("x")))
    assert len(conversation_of(b"no json")) == 16


@pytest.mark.parametrize("own", [{"user": "u1"}, {"safety_identifier": "u1"}, {"metadata": {"user_id": "u1"}}])
def test_a_tenant_is_the_end_user_that_a_client_names(own: dict[str, Any]) -> None:
    """By a hash, because names are nobody's business here."""
    assert tenant(body(user("x"), **own)) == tenant(body(user("y"), **own)) != tenant(body(user="u2"))
    assert "u1" not in (tenant(body(user("x"), **own)) or "")
    assert tenant(body(user("x"))) is None is tenant(body(user("x"), user=7))


def test_a_question_is_what_the_user_said_last() -> None:
    """Case, white space and the form of the content aside; a chat, a response and a completion are alike."""
    asked = question(FIRST)
    assert asked == question(AGAIN) == question(body(user([{"type": "text", "text": QUESTION.upper()}])))
    assert asked == question(json.dumps({"model": "m", "input": QUESTION}).encode())
    assert asked == question(json.dumps({"model": "m", "prompt": QUESTION}).encode())
    parts = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    assert asked == question(json.dumps({"model": "m", "instructions": "Be brief.", "input": parts}).encode())
    assert asked != question(body(user(QUESTION + " Please.")))


def test_a_question_about_another_picture_is_another_question() -> None:
    """What is no text counts as well."""
    first, second = (
        body(user([{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": url}}]))
        for url in ("data:1", "data:2")
    )
    assert question(first) != question(second) != question(FIRST)


def test_the_next_step_of_an_agent_asks_nothing() -> None:
    """Its request ends with a tool's result, in either API."""
    calls = {"role": "assistant", "tool_calls": []}
    assert question(body(user(QUESTION), calls, {"role": "tool", "content": "7"})) == ""
    handed_in = [user(QUESTION), {"type": "function_call_output", "call_id": "1", "output": "7"}]
    assert question(json.dumps({"model": "m", "input": handed_in}).encode()) == ""
    assert question(b"{}") == question(b"\xff") == ""


def test_a_recorded_message_is_read_as_the_chat_that_it_became() -> None:
    """That is how requests of Anthropic's API are recorded."""
    request = {"model": "m", "max_tokens": 9, "system": "Be brief.", "messages": [user(QUESTION)],
               "metadata": {"user_id": "u1"}}  # fmt: skip
    recorded = open_messages(json.dumps(request).encode()).body
    assert question(recorded) == question(FIRST)
    assert tenant(recorded) == tenant(body(user="u1"))


def test_turns_hold_what_was_said_by_whom() -> None:
    """Instructions first; items of a response that nobody said are left out."""
    items = [user("a"), {"type": "reasoning", "summary": []}, replied("b")]
    turns = read_request(json.dumps({"instructions": "i", "input": items}).encode()).turns
    assert [(turn.role, turn.text) for turn in turns] == [("system", "i"), ("user", "a"), ("assistant", "b")]


def test_a_conversation_is_told_apart_from_its_instruction() -> None:
    """System and developer text is instruction; several turns carry their roles."""
    request = {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "a"},
                            {"role": "assistant", "content": "b"},
                            {"role": "user", "content": [{"type": "text", "text": "c"}]}]}  # fmt: skip
    found = read_request(json.dumps(request).encode())
    assert (found.instructions, found.transcript) == ("Be brief.", "(user) a\n(assistant) b\n(user) c")


def test_the_tools_of_a_request_are_known_by_name() -> None:
    """Whatever else a client put there."""
    tools = [{"type": "function", "function": {"name": "send_mail"}}, {"type": "custom"}, 5, {"function": {"name": 7}}]
    assert read_request(json.dumps({"messages": [], "tools": tools}).encode()).tool_names == ("custom", "send_mail")
    assert read_request(b'{"messages": []}').tool_names == read_request(b'{"tools": "x"}').tool_names == ()


def test_calls_of_tools_belong_to_the_turn_that_makes_them() -> None:
    """In a chat as in a response; the transcript shows them."""
    function = {"name": "look_up", "arguments": '{"unit": 7}'}
    chat = body(user("a"), {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": function}]})
    response = json.dumps({"input": [user("a"), {"type": "function_call", "call_id": "1", **function}]}).encode()
    for request in (chat, response):
        found = read_request(request)
        assert found.turns[-1].tool_calls == (ToolCall(name="look_up", arguments='{"unit": 7}'),)
        assert found.transcript == '(user) a\n(assistant) look_up({"unit": 7})'


def test_an_offered_tool_keeps_its_description_and_its_schema() -> None:
    """A teacher must know them to teach a task of calls."""
    function = {"name": "f", "description": "Looks up.", "parameters": {"type": "object"}}
    for tool in ({"type": "function", "function": function}, {"type": "function", **function}):
        (offered,) = read_request(body(user("a"), tools=[tool])).tools
        assert (offered.name, offered.description, offered.parameters) == ("f", "Looks up.", '{"type":"object"}')


def test_sampling_settings_are_read_as_numbers() -> None:
    """An odd value is no setting."""
    found = read_request(body(user("a"), temperature=0.5, top_p=1, seed=7, max_completion_tokens=9)).sampling
    assert found == SamplingSettings(temperature=0.5, top_p=1.0, seed=7, max_tokens=9)
    odd = read_request(b'{"temperature": true, "top_p": 1%s, "seed": "x", "max_tokens": []}' % (b"0" * 400)).sampling
    assert odd == SamplingSettings()
    assert [SamplingSettings(temperature=0).is_deterministic, SamplingSettings().is_deterministic] == [True, False]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "id", "function", "name", "arguments", "tool_calls"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
FIELDS = [
    "model", "messages", "input", "instructions", "system", "prompt", "metadata", "user", "conversation", "tools",
    "functions", "temperature", "seed", "response_format", "text",
]  # fmt: skip


@given(st.binary(max_size=30) | st.dictionaries(st.sampled_from(FIELDS), ODD).map(json.dumps).map(str.encode))
def test_no_recorded_bytes_raise(request: bytes) -> None:
    """The store gives back any bytes that a client sent."""
    found = read_request(request)
    assert len(conversation_of(request)) == 16 and len(found.tenant or "16 hex digits...") == 16
    assert isinstance(found.question + found.first_question + found.instructions + found.transcript, str)


@pytest.mark.parametrize("request_", [b"[" * 100_000, b'{"messages": ' + b"[" * 100_000, b'{"input": [[[' + b"{" * 9])
def test_a_request_nested_too_deep_is_empty(request_: bytes) -> None:
    """It was never sent to a model either."""
    assert read_request(request_).turns == ()
