"""A chat's conversation as Anthropic's, held against the translation the other way round."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.formats.messages import open_messages
from gateway.upstream.anthropic_messages import Turns, native_turns
from tests.sent_messages import GIVEN, NAMES

PNG = "data:image/png;base64,aGk="
PNG_SOURCE = {"type": "base64", "media_type": "image/png", "data": "aGk="}
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


def turned(*messages: dict[str, Any]) -> Turns:
    return native_turns({"messages": msgspec.Raw(json.dumps(messages).encode())})


def native(*messages: dict[str, Any]) -> Any:
    """The messages as the upstream reads them."""
    return json.loads(msgspec.json.encode(turned(*messages).messages))


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def called(*calls: tuple[str, dict[str, Any]], content: str | None = None, **more: Any) -> dict[str, Any]:
    made = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for number, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": content, "tool_calls": made, **more}


def result(content: Any, number: int = 0) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": content}


@st.composite
def chats(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Conversations as agents have them: instructions, then turns, some with calls and all of their results."""
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(WORDS)})
    for _ in range(draw(st.integers(1, 3))):
        parts = draw(st.lists(st.none() | WORDS, min_size=2, max_size=3))
        shown = [
            {"type": "text", "text": part} if part else {"type": "image_url", "image_url": {"url": PNG}}
            for part in parts
        ]
        messages.append(user(draw(st.one_of(WORDS, st.just(shown)))))
        if draw(st.booleans()):
            calls = draw(st.lists(st.tuples(NAMES, GIVEN), min_size=1, max_size=3))
            messages.append(called(*calls, content=draw(st.none() | WORDS)))
            messages += [result(draw(WORDS), number) for number in range(len(calls))]
        messages.append({"role": "assistant", "content": draw(WORDS)})
    messages.append(user(draw(WORDS)))
    return messages


@given(chats())
def test_a_conversation_survives_the_way_to_a_message_and_back(messages: list[dict[str, Any]]) -> None:
    """Instructions, texts, images, calls and their results, each in its place."""
    translated = turned(*messages)
    body = {"model": "m", "max_tokens": 9, "messages": translated.messages}
    if translated.system is not None:
        body["system"] = translated.system
    assert json.loads(open_messages(msgspec.json.encode(body)).body)["messages"] == messages


@given(chats())
def test_turns_alternate(messages: list[dict[str, Any]]) -> None:
    """Results of calls made together stand in a single message, right behind the calls."""
    roles = [turn["role"] for turn in native(*messages)]
    assert all(first != second for first, second in itertools.pairwise(roles))
    assert set(roles) <= {"user", "assistant"}


def test_instructions_move_to_the_top_wherever_they_stand() -> None:
    """As on Anthropic's own translation; several stay apart."""
    turns = turned({"role": "system", "content": "a"}, user("hi"), {"role": "developer", "content": "b"})
    assert turns.system == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert turns.messages == [user("hi")]


def test_parallel_results_share_a_message_with_what_the_user_adds() -> None:
    """In the order in which they came."""
    calls = called(("a", {}), ("b", {"x": 1}))
    turns = native(user("hi"), calls, result("1", 0), result(None, 1), user("and?"))
    assert turns[1]["content"] == [
        {"type": "tool_use", "id": "call_0", "name": "a", "input": {}},
        {"type": "tool_use", "id": "call_1", "name": "b", "input": {"x": 1}},
    ]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_0", "content": "1"},
        {"type": "tool_result", "tool_use_id": "call_1"},
        {"type": "text", "text": "and?"},
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}}, {"type": "image", "source": PNG_SOURCE}),
        (
            {"type": "image_url", "image_url": "https://x/y.png"},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            {"type": "document", "title": "a.pdf",
             "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
        ),
        (
            {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}},
        ),
    ],
)  # fmt: skip
def test_parts_become_blocks(part: dict[str, Any], block: dict[str, Any]) -> None:
    """Images and documents, in the request or at an address; a mark for the prompt cache stays."""
    assert native(user([part])) == [{"role": "user", "content": [block]}]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}},
        {"type": "image", "source": PNG_SOURCE},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]},
        {"type": "sparkle", "x": 1.5},
    ],
)
def test_blocks_of_anthropics_own_pass(block: dict[str, Any]) -> None:
    """So a recorded message that no chat can hold can be asked again here; its instructions stand in ``system``."""
    assert native(user([block])) == [user([block])]
    fields = {"messages": msgspec.json.encode([user("hi")]), "system": msgspec.json.encode("Be brief.")}
    assert native_turns({name: msgspec.Raw(value) for name, value in fields.items()}).system == "Be brief."


def test_a_messages_own_mark_goes_to_its_last_block() -> None:
    """Some clients mark messages and not parts."""
    marked = user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], cache_control={"type": "ephemeral"})
    assert [block.get("cache_control") for block in native(marked)[0]["content"]] == [None, {"type": "ephemeral"}]


def test_empty_texts_are_left_out() -> None:
    """Anthropic refuses them; clients write them beside calls."""
    turns = native(user([{"type": "text", "text": ""}, {"type": "text", "text": "hi"}]), called(("a", {}), content=""))
    assert turns[0]["content"] == "hi"
    assert [block["type"] for block in turns[1]["content"]] == ["tool_use"]


def test_another_providers_ids_fit_in_call_and_result_alike() -> None:
    """Anthropic takes letters, digits, ``_`` and ``-``."""
    call = {"id": "functions.get:0", "type": "function", "function": {"name": "get", "arguments": ""}}
    given_back = {"role": "tool", "tool_call_id": "functions.get:0", "content": "x"}
    turns = native(user("hi"), {"role": "assistant", "tool_calls": [call]}, given_back)
    assert turns[1]["content"][0]["id"] == turns[2]["content"][0]["tool_use_id"] == "functions_get_0"


def test_arguments_keep_their_bytes() -> None:
    """A prompt cache reads bytes, and numbers may be longer than a float."""
    call = {"id": "c", "function": {"name": "get", "arguments": '{"n": 1e400,  "big": 12345678901234567890.10}'}}
    encoded = msgspec.json.encode(turned(user("hi"), {"role": "assistant", "tool_calls": [call]}).messages)
    assert b'{"n": 1e400,  "big": 12345678901234567890.10}' in encoded


def test_thinking_comes_back_first() -> None:
    """With its signature, and without the position that the stream gave it."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    turns = native(user("hi"), called(("a", {}), thinking_blocks=[{"index": 0, **thinking}]), result("1"))
    assert turns[1]["content"][0] == thinking


@pytest.mark.parametrize(
    ("messages", "may"),
    [
        ([user("hi")], True),
        ([user("hi"), called(("a", {})), result("1")], False),
        ([user("hi"), called(("a", {}), thinking_blocks=[{"type": "thinking", "signature": "s"}]), result("1")], True),
        ([user("hi"), called(("a", {})), result("1"), user("and?")], True),
        ([user("hi"), {"role": "assistant", "content": "well"}], True),
    ],
)
def test_an_open_tool_loop_without_its_thoughts_cannot_think_on(messages: list[dict[str, Any]], may: bool) -> None:
    """Anthropic would refuse it; most of OpenAI's clients drop the thoughts."""
    assert turned(*messages).thinks_back is may


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "system", "content": "alone"}],
        [{"role": "wizard", "content": "x"}],
        [user([{"type": "input_audio", "input_audio": {"data": "x"}}])],
        [user([{"type": "file", "file": {"file_id": "file-1"}}])],
        [user(3)],
        [user([3])],
        [user([{"text": "no type"}])],
        [{"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}]}],
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "x", "arguments": "[1]"}}]}],
        [{"role": "tool", "content": "whose?"}],
    ],
)
def test_what_no_message_can_hold_is_refused(messages: list[dict[str, Any]]) -> None:
    """With the field's name."""
    with pytest.raises(BadRequest) as caught:
        turned(*messages)
    assert caught.value.param == "messages"


def test_messages_must_be_there() -> None:
    """As for any chat."""
    with pytest.raises(BadRequest):
        native_turns({})
