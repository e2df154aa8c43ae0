"""Ollama's messages as a chat's: nothing of a conversation is lost, and equal turns stay equal bytes."""

from typing import Any

import msgspec
import pytest

from gateway.formats.ollama_turns import NativeTurn, chat_messages

ADD = {"function": {"name": "add", "arguments": {"a": 2.0, "b": 2}}}
TELL = {"function": {"name": "tell", "arguments": {}}}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":2.0,"b":2}'}}


def translated(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    body = msgspec.json.encode(turns)
    return chat_messages(msgspec.json.decode(body, type=list[NativeTurn]))


def test_plain_turns_keep_role_and_text() -> None:
    """Whoever spoke."""
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    assert translated(*turns) == turns


def test_calls_without_ids_are_numbered_and_their_results_find_them() -> None:
    """By the tool's name, whatever the order; without a name the oldest open call is meant."""
    first, second = translated(
        {"role": "assistant", "tool_calls": [ADD, TELL]},
        {"role": "tool", "tool_name": "tell", "content": "told"},
        {"role": "tool", "content": "4"},
    )[1:]
    assert (first["tool_call_id"], first["content"]) == ("call_2", "told")
    assert (second["tool_call_id"], second["content"]) == ("call_1", "4")


def test_ids_of_a_client_are_kept() -> None:
    """Newer servers give them."""
    called, result = translated(
        {"role": "assistant", "content": "", "tool_calls": [{"id": "abc", **ADD}]},
        {"role": "tool", "tool_call_id": "abc", "content": "4"},
    )
    assert called["tool_calls"] == [{**CALLED, "id": "abc"}]
    assert called["content"] is None
    assert result["tool_call_id"] == "abc"


def test_a_longer_conversation_begins_with_the_same_messages() -> None:
    """So that prompt caches keep hitting."""
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "2 + 2?"}, {"role": "assistant", "tool_calls": [ADD]},
        {"role": "tool", "tool_name": "add", "content": "4"}, {"role": "assistant", "content": "It is 4"},
        {"role": "user", "content": "And 3?"}, {"role": "assistant", "tool_calls": [ADD]},
    ]  # fmt: skip
    whole = translated(*turns)
    assert translated(*turns[:4]) == whole[:4]
    assert whole[5]["tool_calls"][0]["id"] == "call_2"


def test_a_result_without_a_call_has_an_id_all_the_same() -> None:
    """The upstream judges such a conversation."""
    (result,) = translated({"role": "tool", "tool_name": "add", "content": "4"})
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "4"}


@pytest.mark.parametrize(
    ("given", "text"), [('"{\\"a\\":1}"', '{"a":1}'), ("null", "{}"), ('{"b": 1e2}', '{"b": 1e2}')]
)
def test_arguments_become_a_text_with_their_own_bytes(given: str, text: str) -> None:
    """Also where a client sends a text already, or nothing."""
    body = f'[{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":{given}}}}}]}}]'
    (message,) = chat_messages(msgspec.json.decode(body, type=list[NativeTurn]))
    assert message["tool_calls"][0]["function"]["arguments"] == text


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="),
        ("/9j/4AAQ", "data:image/jpeg;base64,/9j/4AAQ"),
        ("R0lGODlh", "data:image/gif;base64,R0lGODlh"),
        ("UklGRiIA", "data:image/webp;base64,UklGRiIA"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
    ],
)
def test_an_image_says_what_it_is(image: str, url: str) -> None:
    """Read from its first letters."""
    (message,) = translated({"role": "user", "content": "What is it?", "images": [image]})
    assert message["content"] == [
        {"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}},
    ]  # fmt: skip


def test_reasoning_goes_back_within_a_tool_loop_only() -> None:
    """Models with tools want it there; in earlier turns it only costs tokens."""
    thought = {"role": "assistant", "thinking": "Hm.", "tool_calls": [ADD]}
    result = {"role": "tool", "content": "4"}
    within = translated({"role": "user", "content": "2 + 2?"}, thought, result)
    after = translated({"role": "user", "content": "2 + 2?"}, thought, result, {"role": "user", "content": "And?"})
    assert within[1]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in after[1]
