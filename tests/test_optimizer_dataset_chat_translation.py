"""Requests of other APIs as chats: the same question becomes the same item, what a chat cannot say is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange, Feedback
from gateway.errors import BadRequest
from gateway.formats.messages import open_messages
from gateway.store.base import Graded
from optimizer.dataset.chat_translation import chat_of
from optimizer.dataset.graded_exchanges import examples_from
from optimizer.dataset.items import item_of
from tests.scripted import GRADER

CHAT = {"messages": [{"role": "system", "content": "Only the answer."}, {"role": "user", "content": "What is 2 + 3?"}]}
PARTS = [{"type": "input_text", "text": "What is 2 + 3?"}]
LOOK_UP = {"name": "look_up", "parameters": {"type": "object"}}


def conversation(*items: Any) -> Any:
    return chat_of({"model": "m", "input": list(items)})["messages"]


@pytest.mark.parametrize(
    "body",
    [
        {"instructions": "Only the answer.", "input": "What is 2 + 3?"},
        {"instructions": "Only the answer.", "input": [{"role": "user", "content": PARTS}]},
        {"input": [
            {"type": "message", "role": "system", "content": "Only the answer."},
            {"role": "user", "content": "What is 2 + 3?"},
        ]},
    ],
)  # fmt: skip
def test_a_question_is_one_item_whichever_api_it_came_by(body: dict[str, Any]) -> None:
    """As a string or as items, with instructions of its own or in the input."""
    assert chat_of(body) == CHAT
    assert item_of({"model": "m", "stream": True, "store": False, **body}, 5) == item_of(CHAT, 5)


def test_a_message_of_anthropics_api_is_recorded_as_a_chat() -> None:
    """So nothing is left to translate."""
    asked = {"model": "m", "max_tokens": 9, "system": "Only the answer.", "messages": CHAT["messages"][1:]}
    body = json.loads(open_messages(json.dumps(asked).encode()).body)
    assert chat_of(body) is body
    assert item_of(body, 5).id == item_of(CHAT, 5).id


@given(st.dictionaries(st.text(max_size=9), st.integers(), max_size=4))
def test_every_other_body_stays_as_it_is(body: dict[str, Any]) -> None:
    """A chat, a legacy prompt, and what is neither: whoever wants messages says so."""
    for other in (body | {"messages": []}, {name: value for name, value in body.items() if name != "input"}):
        assert chat_of(other) is other


def test_what_shapes_the_answer_comes_along() -> None:
    """Under the chat's names: options, format, tools and the choice among them."""
    schema = {"type": "object"}
    assert chat_of({
        "input": "x", "temperature": 0.5, "top_p": None, "max_output_tokens": 9, "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        "tools": [{"type": "function", **LOOK_UP}], "tool_choice": {"type": "function", "name": "look_up"},
        "parallel_tool_calls": False,
    }) == {
        "messages": [{"role": "user", "content": "x"}], "temperature": 0.5, "max_completion_tokens": 9,
        "reasoning_effort": "low", "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        "tools": [{"type": "function", "function": LOOK_UP}],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}}, "parallel_tool_calls": False,
    }  # fmt: skip
    assert "response_format" not in chat_of({"input": "x", "text": {"format": {"type": "text"}}, "tools": []})


def test_calls_and_their_results_stand_as_a_chat_has_them() -> None:
    """Calls of one turn in one message, each result behind them; thoughts of another model are left out."""
    found = conversation(
        {"role": "user", "content": "Weather in Oslo and Rome?"},
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "1", "name": "look_up", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call", "call_id": "2", "name": "look_up", "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "1", "output": "rain"},
        {"type": "function_call_output", "call_id": "2", "output": "sun"},
    )
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool"]
    assert found[1]["content"] == "I look." and [call["id"] for call in found[1]["tool_calls"]] == ["1", "2"]
    assert found[3] == {"role": "tool", "tool_call_id": "2", "content": "sun"}


def test_images_come_along() -> None:
    """Beside the text, in its order."""
    image = {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"}
    (message,) = conversation({"role": "user", "content": [*PARTS, image]})
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert message["content"][1]["image_url"] == {"url": "https://example.org/a.png", "detail": "low"}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text"),
        ({"reasoning": "much"}, "reasoning"),
        ({"instructions": [{"role": "user", "content": "x"}]}, "instructions"),
        ({"input": 7}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": None}]}, "input[0].content"),
    ],
)
def test_what_a_chat_cannot_say_is_refused_by_name(more: dict[str, Any], named: str) -> None:
    """Left out, it would be another question."""
    with pytest.raises(BadRequest, match="no counterpart in a chat") as refused:
        chat_of({"input": "x", **more})
    assert refused.value.param == named


def test_recorded_responses_teach_and_what_cannot_is_said() -> None:
    """An exchange of /responses is an item like any other, and a seen reply; a refused one is a complaint."""

    def graded(name: str, body: dict[str, Any]) -> Graded:
        exchange = Exchange(
            id=name, created=1.0, task="t", client_model="gpt", model="small", arm="weak", rules=None, stream=False,
            status="ok", http_status=200, request=json.dumps(body).encode(), reply="6",
        )  # fmt: skip
        return Graded(exchange=exchange, feedback=Feedback(exchange_id=name, created=2.0, expected=5))

    found = examples_from(
        [graded("a", {"model": "gpt", "input": "What is 2 + 3?"}),
         graded("b", {"model": "gpt", "input": "And doubled?", "previous_response_id": "resp_a"})],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    (item,) = found.items
    assert not found.seen[item.id].correct and item.expected == 5
    assert found.complaints == (
        "exchange b: 'previous_response_id' of this request to /responses has no counterpart in a chat",
    )
