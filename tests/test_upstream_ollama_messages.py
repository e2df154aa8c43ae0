"""OpenAI's messages as Ollama takes them: nothing that was said is lost on the way."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.formats.envelope import decode_object
from gateway.upstream.ollama_messages import native_messages

Message = dict[str, Any]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def native(*messages: Message) -> list[Message]:
    """What reaches Ollama, decoded."""
    fields = decode_object(json.dumps({"messages": messages}).encode())
    made: list[Message] = msgspec.json.decode(msgspec.json.encode(native_messages(fields)))
    return made


def call(arguments: str | None, call_id: str | None = "call_1", name: str = "add") -> Message:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}],
    }


def picture(url: Any) -> Message:
    return {"role": "user", "content": [{"type": "image_url", "image_url": url}]}


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), max_size=4))
def test_texts_arrive_as_they_were_said(said: list[tuple[str, str]]) -> None:
    """Any conversation keeps its order, its roles and its texts, in strings and in lists of parts."""
    expected = [{"role": role, "content": text} for role, text in said]
    assert native(*expected) == expected
    parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]
    assert native(*parts) == expected


def test_several_text_parts_become_lines() -> None:
    """Ollama has one text per message: parts stand below each other, a refusal among them."""
    parts = [{"type": "text", "text": "one"}, {"type": "refusal", "refusal": "two"}]
    assert native({"role": "assistant", "content": parts}) == [{"role": "assistant", "content": "one\ntwo"}]


def test_roles_that_templates_do_not_know_are_renamed() -> None:
    """A developer message is a system message, a function's result a tool's."""
    made = native({"role": "developer", "content": "a"}, {"role": "function", "name": "add", "content": "3"})
    assert made == [{"role": "system", "content": "a"}, {"role": "tool", "content": "3", "tool_name": "add"}]


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_arguments_of_a_tool_call_arrive_equal(arguments: dict[str, Any]) -> None:
    """Arguments are a string to OpenAI and an object to Ollama."""
    made = native(call(json.dumps(arguments)))
    assert made == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"name": "add", "arguments": arguments}}],
        }
    ]


def test_numbers_among_arguments_keep_their_digits() -> None:
    """What Python's floats cannot hold is not rounded."""
    fields = decode_object(json.dumps({"messages": [call('{"x": 0.10, "y": 12345678901234567890123}')]}).encode())
    assert b'{"x": 0.10, "y": 12345678901234567890123}' in msgspec.json.encode(native_messages(fields))


@pytest.mark.parametrize("arguments", ["", "  ", None])
def test_no_arguments_are_an_empty_object(arguments: str | None) -> None:
    """Models call tools without parameters with an empty string."""
    assert native(call(arguments))[0]["tool_calls"][0]["function"]["arguments"] == {}


@pytest.mark.parametrize("arguments", ["{", "[1]", "3", "{'a': 1}"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    """Ollama would refuse them in the words of its parser; the message says which one it is."""
    with pytest.raises(BadRequest, match=r"messages\[1\]"):
        native({"role": "user", "content": "add"}, call(arguments))


def test_a_result_names_its_tool() -> None:
    """OpenAI's clients give the id of the call, Ollama's templates read the name; the last call with an id counts."""
    made = native(
        call("{}", "call_1", "add"),
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        call("{}", "call_1", "mul"),
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
        {"role": "tool", "tool_call_id": "call_9", "content": "?"},
    )
    results = [{key: value for key, value in message.items() if key != "content"} for message in made]
    assert results[1] == {"role": "tool", "tool_name": "add", "tool_call_id": "call_1"}
    assert results[3] == {"role": "tool", "tool_name": "mul", "tool_call_id": "call_1"}
    assert results[4] == {"role": "tool", "tool_call_id": "call_9"}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_earlier_thinking_goes_along(field: str) -> None:
    """Under either name that servers use for it."""
    made = native({"role": "assistant", "content": "4", field: "2 + 2"})
    assert made == [{"role": "assistant", "content": "4", "thinking": "2 + 2"}]


@pytest.mark.parametrize(
    "url",
    ["data:image/png;base64,aGk=", "data:image/svg+xml;charset=utf-8;base64,aGk=", "data:;base64,aGk="],
)
def test_an_image_is_handed_over_as_base64(url: str) -> None:
    """In an object or as a string; the text beside it stays."""
    for given_url in (url, {"url": url, "detail": "low"}):
        message = picture(given_url)
        message["content"].append({"type": "text", "text": "What is this?"})
        assert native(message) == [{"role": "user", "content": "What is this?", "images": ["aGk="]}]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "data:image/png,raw",
        "data:text/html;base64,aGk=",
    ],
)
def test_an_image_elsewhere_is_refused(url: str) -> None:
    """Ollama does not fetch, and neither does the gateway; nor is a path ever opened."""
    with pytest.raises(BadRequest, match="data:image") as caught:
        native(picture(url))
    assert caught.value.param == "messages"


@pytest.mark.parametrize("part", [{"type": kind} for kind in ("input_audio", "file", "text", "image_url")])
def test_a_part_that_ollama_does_not_take_is_refused(part: Message) -> None:
    """Dropping it would answer another question."""
    with pytest.raises(BadRequest, match=r"messages\[0\] has a part of type"):
        native({"role": "user", "content": [part]})


@pytest.mark.parametrize("messages", [None, 3, "hi", [3], [{"content": "hi"}], [{"role": "user", "content": 3}]])
def test_what_are_no_messages_is_a_bad_request(messages: Any) -> None:
    """With the parameter's name, as OpenAI says it."""
    with pytest.raises(BadRequest) as caught:
        native_messages(decode_object(json.dumps({"messages": messages}).encode()))
    assert caught.value.param == "messages"
    with pytest.raises(BadRequest, match="Missing"):
        native_messages({})
