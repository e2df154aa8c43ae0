"""Whole replies as events: what the makers' own SDKs put together again is the whole reply."""

import json
from collections.abc import Callable
from typing import Any

import anthropic.types as anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion, chat, responses
from pydantic import TypeAdapter

from gateway.errors import UpstreamGarbage
from gateway.formats.anthropic_request import open_anthropic
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Envelope
from gateway.formats.replayed import completion_events, message_events, response_events
from gateway.formats.responses import open_responses
from tests.fakes import completion
from tests.sent_messages import message, said, thought, use
from tests.test_formats_written_reply import RESPONSE, data

CALLS = [{"id": f"call_{n}", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}} for n in range(2)]
ASKED: dict[str, Any] = {"model": "m", "stream": True, "max_tokens": 9}
HELLO = [{"role": "user", "content": "2 + 2?"}]


def test_a_chat_with_two_calls() -> None:
    """Calls are numbered, the end comes behind them, the usage last."""
    said_too = {"role": "assistant", "content": "Let me.", "tool_calls": CALLS, "reasoning_content": "Hm."}
    choices = [{"index": 0, "message": said_too, "finish_reason": "tool_calls"}]
    events = completion_events(completion("", choices=choices, from_tomorrow=1))
    chunks = [chat.ChatCompletionChunk.model_validate(data(event), strict=True) for event in events]
    (delta,) = [choice.delta for chunk in chunks for choice in chunk.choices if choice.finish_reason is None]
    assert delta.content == "Let me." and [call.index for call in delta.tool_calls or ()] == [0, 1]
    assert (
        data(events[0])["choices"][0]["delta"]["reasoning_content"] == "Hm." and data(events[0])["from_tomorrow"] == 1
    )
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices] == [None, "tool_calls"]
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 10


def test_a_legacy_completion() -> None:
    """Its chunks have the shape of the whole."""
    choices = [{"index": n, "text": text, "logprobs": None, "finish_reason": "stop"} for n, text in enumerate("ab")]
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": choices}
    told = [Completion.model_validate(data(event)) for event in completion_events(json.dumps(body).encode())]
    assert [(choice.index, choice.text) for chunk in told for choice in chunk.choices] == [(0, "a"), (1, "b")]


def test_a_response_with_every_kind_of_item() -> None:
    """Texts, refusals and arguments come as pieces; an item that is new comes whole."""
    parts = [{"type": "output_text", "text": "It is", "annotations": []}, {"type": "refusal", "refusal": "No."}]
    items = [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": parts},
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "c",
            "name": "add",
            "arguments": "{}",
            "status": "completed",
        },
        {"id": "ct_1", "type": "custom_tool_call", "call_id": "c", "name": "run", "input": "ls"},
    ]
    whole = {**RESPONSE, "output": items, "status": "completed", "incomplete_details": None}
    read = TypeAdapter[Any](responses.ResponseStreamEvent)
    told = [read.validate_python(data(event)) for event in response_events(whole)]
    assert [event.delta for event in told if event.type.endswith(".delta")] == ["It is", "No.", "{}", "ls"]
    assert [event.item.id for event in told if event.type == "response.output_item.done"] == [
        "rs_1", "msg_1", "fc_1", "ct_1",
    ]  # fmt: skip
    assert [event.sequence_number for event in told] == list(range(len(told)))
    added = next(event.item for event in told if event.type == "response.output_item.added" and event.output_index == 2)
    assert (added.arguments, added.status) == ("", "in_progress")


def test_an_unfinished_response_ends_as_such() -> None:
    """The last event says how it went."""
    assert data(response_events(RESPONSE)[-1])["type"] == "response.incomplete"


def test_a_message_with_every_kind_of_block() -> None:
    """Put together it is what came."""
    whole = message(thought("Hm."), said("It is"), use("add", {"a": 1}))
    read = TypeAdapter[Any](anthropic.RawMessageStreamEvent)
    told = [read.validate_python(data(event)) for event in message_events(whole)]
    deltas = [event.delta.to_dict() for event in told if event.type == "content_block_delta"]
    assert [next(iter({*delta.values()} - {delta["type"]})) for delta in deltas] == ["Hm.", "c2ln", "It is", '{"a":1}']
    assert told[-2].delta.stop_reason == "tool_use" and told[-1].type == "message_stop"


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "content", "message", "tool_calls", "input", "usage", "index", "thinking"]
            ),
            inner,
        )
    ),
)
OPEN: dict[str, tuple[Callable[[bytes], Envelope], dict[str, Any], dict[str, Any]]] = {
    "chat": (open_chat, {"choices": [{"index": 0, "message": {"content": "4"}}]}, {"messages": HELLO}),
    "response": (open_responses, {"id": "resp_1", "output": []}, {"input": "hi"}),
    "message": (open_anthropic, message(said("4")), {"messages": HELLO}),
}


@pytest.mark.parametrize("kind", OPEN)
@given(ODD, ODD, st.sampled_from(["choices", "output", "content", "usage", "status", "id"]))
def test_an_odd_reply_is_replayed_or_garbage(kind: str, odd: Any, more: Any, field: str) -> None:
    """A body of any shape breaks nothing."""
    opened, whole, asked = OPEN[kind]
    envelope = opened(json.dumps({**ASKED, **asked}).encode())
    for value in (
        odd,
        [more],
        [{"type": "message", "content": odd}],
        [{"type": "text", "message": {"tool_calls": odd}}],
    ):
        body = json.dumps({**whole, field: value}).encode()
        try:
            envelope.replayed(envelope.open_reply(body).body)
        except UpstreamGarbage:
            continue
