"""Anthropic's conversations as a chat's: documents, results and references, names and thoughts."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import messages_shape as shape
from gateway.formats.messages_turns import LONGEST_NAME, chat_name, chat_turns

PDF: dict[str, Any] = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
FILE: dict[str, Any] = {
    "type": "file",
    "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,aGk="},
}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
LONG = "mcp__" + "x" * 90


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def turned(*messages: dict[str, Any], system: Any = None) -> list[dict[str, Any]]:
    turns = shape.DECODERS["messages"].decode(msgspec.json.encode(messages))
    return chat_turns(turns, shape.DECODERS["system"].decode(msgspec.json.encode(system)))


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def called(*blocks: dict[str, Any], name: str = "get") -> dict[str, Any]:
    use = {"type": "tool_use", "id": "t", "name": name, "input": {}}
    return {"role": "assistant", "content": [*blocks, use]}


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"type": "document", "source": PDF}, [FILE]),
        (
            {"type": "document", "source": PDF, "title": "a.pdf"},
            [{"type": "file", "file": {**FILE["file"], "filename": "a.pdf"}}],
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}, "title": "T"},
            [text("T\nhi")],
        ),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}, [text("hi")]),
        ({"type": "document", "source": {"type": "content", "content": "hi"}}, [text("hi")]),
        (
            {"type": "document", "source": {"type": "content", "content": [text("hi"), IMAGE]}, "title": "T"},
            [text("T"), text("hi"), IMAGE_PART],
        ),
        (
            {"type": "search_result", "title": "T", "source": "https://x", "content": [text("a"), text("b")]},
            [text("T\nhttps://x\na\nb")],
        ),
    ],
)
def test_documents_and_search_results_become_parts(block: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    """A document of an earlier turn must not make every later one fail."""
    (message,) = turned(user(block, text("And?")))
    assert message == {"role": "user", "content": [*parts, text("And?")]}


def test_results_of_tools_may_hold_them_too() -> None:
    """Texts join the result; files follow as the user's, as a tool's message is text only."""
    found = {"type": "tool_reference", "tool_name": "get_weather"}
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [text("See:"), found, {"type": "document", "source": PDF}],
    }
    assert turned(called(), user(result))[1:] == [
        {"role": "tool", "tool_call_id": "t", "content": "See:\nTool: get_weather"},
        {"role": "user", "content": [text("Files in the result of t:"), FILE]},
    ]
    pictures = {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE], "is_error": True}
    assert turned(called(), user(pictures))[1:] == [
        {"role": "tool", "tool_call_id": "t", "content": "Error"},
        {"role": "user", "content": [text("Images in the result of t:"), IMAGE_PART]},
    ]


def test_a_line_for_anthropics_accounts_is_left_out() -> None:
    """It differs in each request: no prompt cache would hit behind it."""
    billing = text("x-anthropic-billing-header: cc_version=2.1.0; cch=4f2a1;")
    assert turned(user(text("hi")), system=[billing, text("Be brief.")])[0] == {
        "role": "system",
        "content": "Be brief.",
    }
    assert turned(user(text("hi")), system=[billing]) == [{"role": "user", "content": "hi"}]


def test_thoughts_go_back_with_their_calls_to_the_model_that_had_them() -> None:
    """Without a signature they are not Anthropic's; without a call nobody asks for them."""
    own = {"type": "thinking", "thinking": "hm", "signature": ""}
    foreign = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    assert turned(called(own))[0]["reasoning_content"] == "hm"
    assert "reasoning_content" not in turned(called(foreign))[0]
    assert turned({"role": "assistant", "content": [own, text("4")]}) == [{"role": "assistant", "content": "4"}]


@given(st.text(max_size=200), st.text(max_size=200))
def test_long_names_are_shortened_to_names_of_their_own(first: str, second: str) -> None:
    """In the same way everywhere; a short name stays as it is."""
    for name in (first, second):
        assert len(chat_name(name)) <= LONGEST_NAME and (len(name) > LONGEST_NAME or chat_name(name) == name)
    assert (chat_name("x" * 60 + first) == chat_name("x" * 60 + second)) == (first == second)
    assert turned(called(name=LONG))[0]["tool_calls"][0]["function"]["name"] == chat_name(LONG) != LONG
