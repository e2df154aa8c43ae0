"""Replies that the gateway writes: the shape of each endpoint, as its own SDK reads it, and nothing of the form."""

import json
from typing import Any

import anthropic.types as anthropic
from openai.types import chat, responses
from pydantic import TypeAdapter

from gateway.domain import Usage
from gateway.formats.envelope import raw
from gateway.formats.replayed import completion_events, message_events, response_events
from gateway.formats.written_reply import written_completion, written_message, written_response
from tests.fakes import completion
from tests.sent_messages import message, said

USAGE = Usage(prompt_tokens=40, output_tokens=9, cached_tokens=8)
HIDDEN = completion('{"days": 40}')
RESPONSE = {
    "id": "resp_7", "object": "response", "created_at": 1, "model": "tiny-1b", "status": "incomplete", "output": [],
    "instructions": "form", "text": {"format": {"type": "json_schema", "name": "worksheet", "schema": {}}},
    "max_output_tokens": 512, "incomplete_details": {"reason": "max_output_tokens"}, "error": None, "store": False,
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {},
    "usage": {
        "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}  # fmt: skip


def data(event: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(event.split(b"data: ", 1)[1])
    return read


def test_a_completion() -> None:
    """One choice that ended by itself, in the model's name."""
    made = chat.ChatCompletion.model_validate_json(written_completion(HIDDEN, "ex-1", "returns", USAGE), strict=True)
    (choice,) = made.choices
    assert (made.id, choice.message.content, choice.finish_reason) == ("ex-1", "returns", "stop")
    assert made.model == json.loads(HIDDEN)["model"] and made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens, made.usage.total_tokens) == (40, 9, 49)


def test_a_streamed_completion() -> None:
    """The text, its end, and the usage for those who ask."""
    body = written_completion(HIDDEN, "ex-1", "returns", USAGE)
    chunks = [chat.ChatCompletionChunk.model_validate(data(event), strict=True) for event in completion_events(body)]
    assert [choice.delta.content for chunk in chunks for choice in chunk.choices] == ["returns", None]
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices] == [None, "stop"]
    assert {chunk.id for chunk in chunks} == {"ex-1"} and chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 49
    assert len(completion_events(body, include_usage=False)) == 2


def test_a_message() -> None:
    """It keeps the upstream's id; a stream begins and ends once."""
    whole = written_message(json.dumps(message(said("{}"), stop="max_tokens")).encode(), "ex-1", "returns", USAGE)
    made = anthropic.Message.model_validate_json(bytes(raw(whole)))
    assert (made.id, made.stop_reason, made.usage.input_tokens) == ("msg_01", "end_turn", 32)
    read = TypeAdapter[Any](anthropic.RawMessageStreamEvent)
    told = [read.validate_python(data(event)) for event in message_events(whole)]
    assert told[0].message.content == [] and told[2].delta.text == "returns"
    assert told[4].delta.stop_reason == "end_turn" and told[4].usage.output_tokens == 9


def test_a_response_repeats_the_callers_own_request() -> None:
    """Not that of the form."""
    caller = {"instructions": raw("Route it."), "max_output_tokens": raw(50), "text": raw(None)}
    whole = written_response(json.dumps(RESPONSE).encode(), caller, "returns", USAGE)
    made = responses.Response.model_validate_json(bytes(raw(whole)))
    assert (made.id, made.status, made.output_text, made.instructions) == (
        "resp_7",
        "completed",
        "returns",
        "Route it.",
    )
    assert (made.max_output_tokens, made.incomplete_details) == (50, None)
    assert b"worksheet" not in bytes(raw(whole))
    assert made.usage is not None and made.usage.total_tokens == 49


def test_a_streamed_response() -> None:
    """The events of OpenAI's own server, numbered from 0."""
    whole = written_response(json.dumps(RESPONSE).encode(), {}, "returns", USAGE)
    read = TypeAdapter[Any](responses.ResponseStreamEvent)
    told = [read.validate_python(data(event)) for event in response_events(whole)]
    assert [event.sequence_number for event in told] == list(range(9))
    assert told[0].response.status == "in_progress" and told[4].delta == "returns"
    assert told[-1].type == "response.completed" and told[-1].response.output_text == "returns"
