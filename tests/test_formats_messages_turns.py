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


OWN_TOOLS: list[dict[str, Any]] = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"type": "web_search_result", "url": "https://x"}],
    },
    {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": {"type": "web_fetch_result", "url": "https://x"}},
    {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "1"}},
    {"type": "bash_code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "1"}},
    {"type": "text_editor_code_execution_tool_result", "tool_use_id": "s", "content": {}},
    {"type": "tool_search_tool_result", "tool_use_id": "s", "content": {}},
    {"type": "mcp_tool_use", "id": "m", "name": "get", "server_name": "x", "input": {}},
    {"type": "mcp_tool_result", "tool_use_id": "m", "is_error": False, "content": [text("found")]},
]


@pytest.mark.parametrize("block", OWN_TOOLS, ids=[block["type"] for block in OWN_TOOLS])
def test_anthropics_own_tools_are_left_out_of_a_history_and_the_text_beside_them_stays(block: dict[str, Any]) -> None:
    """A chat has no place for them, and one of them must not make every later turn a 400."""
    cited = {**text("It is 4."), "citations": [{"type": "web_search_result_location", "url": "https://x"}]}
    turns = [user(text("hi")), {"role": "assistant", "content": [text("I look. "), block, cited]}, called(block)]
    _, said, use = turned(*turns)
    assert said == {"role": "assistant", "content": "I look. It is 4."}
    assert [call["id"] for call in use["tool_calls"]] == ["t"]


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
