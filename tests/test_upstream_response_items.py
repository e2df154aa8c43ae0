"""The input of a response as messages: a chat's own order, nothing lost that a chat can hold."""

from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.upstream.response_items import response_messages

USER = {"role": "user", "content": "2 + 2?"}
CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":2}'}
CALLED = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "4"}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is 4"}]}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="


def test_a_string_is_a_users_message() -> None:
    """Behind the instructions."""
    assert response_messages("Be brief.", "2 + 2?") == [{"role": "system", "content": "Be brief."}, USER]
    assert response_messages(None, "2 + 2?") == [USER]


def test_instructions_are_one_message_at_the_head() -> None:
    """Many chat templates take no second one; a later one stays where it is."""
    told = response_messages(
        "Be brief.",
        [{"role": "developer", "content": "Count."},
         {"role": "system", "content": [{"type": "input_text", "text": "!"}]},
         USER, {"role": "developer", "content": "Now rhyme."}],
    )  # fmt: skip
    assert told[0] == {"role": "system", "content": "Be brief.\n\nCount.\n\n!"}
    assert told[1:] == [USER, {"role": "system", "content": "Now rhyme."}]


def test_calls_of_a_turn_are_one_message_with_their_results_behind() -> None:
    """Together with the text of the turn, before or behind the calls."""
    other = {**CALL, "call_id": "c2"}
    told = response_messages(None, [USER, ANSWER, CALL, other, RESULT, {**RESULT, "call_id": "c2"}])
    assert told[1] == {"role": "assistant", "content": "It is 4", "tool_calls": [CALLED, {**CALLED, "id": "c2"}]}
    assert [(message["role"], message["tool_call_id"]) for message in told[2:]] == [("tool", "c1"), ("tool", "c2")]
    assert response_messages(None, [USER, CALL, ANSWER, RESULT])[1] == {
        "role": "assistant", "content": "It is 4", "tool_calls": [CALLED],
    }  # fmt: skip


def test_a_custom_tools_input_becomes_an_argument() -> None:
    """And its result a tool's."""
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
    told = response_messages(None, [USER, call, {**RESULT, "type": "custom_tool_call_output"}])
    assert told[1]["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"*** Begin"}'}
    assert told[2] == {"role": "tool", "tool_call_id": "c1", "content": "4"}


def test_parts_become_a_chats() -> None:
    """A single text is a string; pictures, files and sound keep their data."""
    parts = [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    (told,) = response_messages(None, [{"role": "user", "content": parts}])
    assert told["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    assert response_messages(None, [{"role": "user", "content": parts[:1]}])[0]["content"] == "What?"


def test_pictures_in_results_follow_all_results_as_the_users() -> None:
    """A chat's tool message is text only."""
    output = [{"type": "input_text", "text": "A dot:"}, {"type": "input_image", "image_url": PIXEL}]
    results = [{**RESULT, "output": output}, {**RESULT, "call_id": "c2", "output": {"sum": 4}}]
    told = response_messages(None, [USER, CALL, {**CALL, "call_id": "c2"}, *results])
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "tool", "user"]
    assert (told[2]["content"], told[3]["content"]) == ("A dot:", '{"sum":4}')
    assert [part["type"] for part in told[4]["content"]] == ["text", "image_url"]


def test_reasoning_goes_back_within_a_tool_loop_only() -> None:
    """As content, or as a summary; encrypted reasoning is left out."""
    thought: dict[str, Any] = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    hidden = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    within = response_messages(None, [USER, thought, CALL, RESULT])
    assert within[1]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in response_messages(None, [USER, thought, CALL, RESULT, ANSWER, USER])[1]
    assert "reasoning_content" not in response_messages(None, [USER, hidden, CALL, RESULT])[1]


def test_items_of_other_servers_tools_are_left_out() -> None:
    """A history with one must not make every later turn fail."""
    items = [USER, {"type": "web_search_call", "id": "ws"}, {"type": "from_tomorrow"}, ANSWER]
    assert [message["role"] for message in response_messages(None, items)] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([USER, {"type": "item_reference", "id": "msg_1"}], "input[1]"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}], "input[0]"),
        ([], "input"),
        (None, "input"),
    ],
)
def test_what_a_chat_cannot_hold_is_refused(given: Any, param: str) -> None:
    """With its place."""
    with pytest.raises(BadRequest) as caught:
        response_messages(None, given)
    assert caught.value.param == param
