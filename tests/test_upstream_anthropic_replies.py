"""Anthropic's replies as chat completions, held against the translation the other way round."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamGarbage
from gateway.formats import sse
from gateway.formats.messages_reply import MessageOptions, to_message
from gateway.formats.messages_stream import MessageStream
from gateway.upstream.anthropic_replies import ChatTranslation, chat_refusal, chat_usage
from tests.sent_messages import MESSAGES, event, events, failure, message, said, thought, use

OPTIONS = MessageOptions(model="claude-sonnet-4-5", thinking=True)


def translation(*, include_usage: bool = True) -> ChatTranslation:
    return ChatTranslation(created=7, include_usage=include_usage)


def whole(sent: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(translation().whole(json.dumps(sent).encode()))
    return decoded


def chunks(*sent: bytes, include_usage: bool = True) -> list[Any]:
    """The chunks that the events of a stream become, decoded; the last is ``[DONE]``."""
    made = translation(include_usage=include_usage)
    cut = sse.Events()
    translated = b"".join(made.events(sse.data_of(one) or b"") for one in sent)
    datas = [sse.data_of(one) or b"" for one in cut.feed(translated)]
    return [json.loads(data) if data != b"[DONE]" else "[DONE]" for data in datas]


def unsigned(sent: dict[str, Any]) -> dict[str, Any]:
    """A message as it comes back from a chat: without a signature, and with its writing to the cache as plain input."""
    content = [{**block, "signature": ""} if block["type"] == "thinking" else block for block in sent["content"]]
    usage = {**sent["usage"], "input_tokens": 27, "cache_creation_input_tokens": 0}
    return {**sent, "content": content, "usage": usage, "stop_details": None}


@given(MESSAGES)
def test_a_message_survives_the_way_to_a_chat_and_back(sent: dict[str, Any]) -> None:
    """Thinking, text, calls with their arguments, the end and the counts."""
    chat = translation().whole(json.dumps(sent).encode())
    assert json.loads(to_message(chat, message_id="msg_01", options=OPTIONS)) == unsigned(sent)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_json_object_comes_without_what_stands_around_it(size: int) -> None:
    """Whole and streamed; a refusal comes as it is."""
    for text, shown in (('Here:\n```json\n{"a": "}"}\n```', '{"a": "}"}'), ("I cannot.", "I cannot.")):
        sent = message(thought("Hm."), said(text))
        made = ChatTranslation(created=7, include_usage=True, json_object=True)
        assert json.loads(made.whole(json.dumps(sent).encode()))["choices"][0]["message"]["content"] == shown
        made = ChatTranslation(created=7, include_usage=True, json_object=True)
        told = b"".join(made.events(sse.data_of(one) or b"") for one in events(sent, size))
        datas = [json.loads(line[6:]) for line in told.splitlines() if line.startswith(b"data: {")]
        deltas = [data["choices"][0]["delta"] for data in datas if data["choices"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == shown


@given(MESSAGES, st.integers(1, 9))
def test_a_stream_says_what_the_whole_reply_says(sent: dict[str, Any], size: int) -> None:
    """Piece by piece, as OpenAI's clients put the pieces together."""
    told = chunks(*events(sent, size))
    assert told[-1] == "[DONE]" and told[-2]["choices"] == []
    expected = whole(sent)
    choice = expected["choices"][0]
    deltas = [chunk["choices"][0]["delta"] for chunk in told[:-2]]
    assert "".join(delta.get("content") or "" for delta in deltas) == (choice["message"]["content"] or "")
    reasoning = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert reasoning == choice["message"].get("reasoning_content", "")
    calls: list[dict[str, Any]] = []
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls", [])):
        if "id" in piece:
            calls.append({"id": piece["id"], "name": piece["function"]["name"], "arguments": ""})
        calls[piece["index"]]["arguments"] += piece["function"]["arguments"]
    whole_calls = choice["message"].get("tool_calls", [])
    assert [(call["id"], call["name"], json.loads(call["arguments"])) for call in calls] == [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in whole_calls
    ]
    thoughts = [block for delta in deltas for block in delta.get("thinking_blocks", [])]
    assert [block for block in thoughts if block.pop("index") is not None] == choice["message"].get(
        "thinking_blocks", []
    )
    assert told[-3]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert told[-2]["usage"] == expected["usage"]


@given(MESSAGES, st.integers(1, 9))
def test_a_stream_survives_the_way_to_a_chat_and_back(sent: dict[str, Any], size: int) -> None:
    """As a client of Anthropic's would read it, if a chat stood between."""
    made, back = translation(), MessageStream(message_id="msg_01", options=OPTIONS)
    cut = sse.Events()
    chat = b"".join(made.events(sse.data_of(one) or b"") for one in events(sent, size))
    again = b"".join(back.feed(one) for one in cut.feed(chat))
    read = [json.loads(sse.data_of(one) or b"") for one in sse.Events().feed(again)]
    blocks: list[dict[str, Any]] = []
    for one in read:
        if one["type"] == "content_block_start":
            blocks.append({**one["content_block"], "pieces": ""})
        if one["type"] == "content_block_delta":
            blocks[one["index"]]["pieces"] += next(one["delta"][key] for key in one["delta"] if key != "type")
    expected = [
        (block["type"], block.get("text", block.get("thinking", block.get("input")))) for block in sent["content"]
    ]
    assert [
        (block["type"], json.loads(block["pieces"]) if block["type"] == "tool_use" else block["pieces"])
        for block in blocks
    ] == expected
    assert read[-2]["delta"]["stop_reason"] == sent["stop_reason"]


def test_a_reply_has_the_shape_of_openais() -> None:
    """The thinking beside the text, and with its signature for the way back."""
    assert whole(message(thought("2 + 2"), said("It is 4"))) == {
        "id": "msg_01", "object": "chat.completion", "created": 7, "model": "claude-sonnet-4-5",
        "choices": [{
            "index": 0, "logprobs": None, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "It is 4", "reasoning_content": "2 + 2",
                        "thinking_blocks": [thought("2 + 2")]},
        }],
        "usage": {"prompt_tokens": 127, "completion_tokens": 3, "total_tokens": 130,
                  "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20}},
    }  # fmt: skip


def test_a_reply_of_calls_alone_has_no_text() -> None:
    """OpenAI's clients tell the two apart by ``null``."""
    reply = whole(message(use("weather", {"city": "Oslo"})))["choices"][0]
    assert reply["message"]["content"] is None and reply["finish_reason"] == "tool_calls"
    assert reply["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter"),
        ("a_later_addition", "a_later_addition"),
    ],
)  # fmt: skip
def test_every_end_has_a_name(stop: str, finish: str) -> None:
    """A reply that was cut off never looks complete."""
    assert whole(message(said("x"), stop=stop))["choices"][0]["finish_reason"] == finish
    assert chunks(*events(message(said("x"), stop=stop)))[-3]["choices"][0]["finish_reason"] == finish


def test_usage_comes_only_where_it_was_asked_for() -> None:
    """As at OpenAI."""
    assert all("usage" not in chunk for chunk in chunks(*events(message(said("x"))), include_usage=False)[:-1])


def test_an_error_in_the_middle_is_an_error_of_the_stream() -> None:
    """In the upstream's words; nothing pretends an end."""
    broken = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    told = chunks(*events(message(said("It is 4")))[:4], broken)
    assert told[-1] == {"error": {"type": "overloaded_error", "message": "Overloaded"}}


def test_what_is_new_is_passed_over() -> None:
    """Blocks, deltas and events of a later version of the API."""
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    assert whole(message(search, said("It is 4")))["choices"][0]["message"]["content"] == "It is 4"
    new = event("content_block_delta", index=0, delta={"type": "sparkle_delta", "sparkle": 1})
    assert chunks(event("sparkle"), new) == []


def test_thinking_that_is_hidden_goes_back_hidden() -> None:
    """Only Anthropic can read it."""
    hidden = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    reply = whole(message(hidden, said("4")))["choices"][0]["message"]
    assert reply["thinking_blocks"] == [hidden] and "reasoning_content" not in reply
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(*events(message(hidden, said("4"))))[:-2]]
    assert {"thinking_blocks": [{"index": 0, **hidden}]} in deltas


def test_odd_accounting_breaks_no_reply() -> None:
    """A wrong count counts as none."""
    assert whole(message(said("4"), usage=[]))["usage"]["total_tokens"] == 0
    odd = {"input_tokens": "12", "output_tokens": 1.0, "cache_read_input_tokens": None, "output_tokens_details": 3}
    assert chat_usage(odd)["total_tokens"] == 13
    thinks = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 5}}
    assert chat_usage(thinks)["completion_tokens_details"] == {"reasoning_tokens": 5}


@pytest.mark.parametrize(
    ("words", "blamed"),
    [
        ("temperature: Input should be less than or equal to 1", "temperature"),
        ("max_tokens: 9 > 8, which is the maximum allowed number of output tokens", "max_completion_tokens"),
        ("messages.0.content: Input should be a valid list", "messages"),
        ("system: text content blocks must be non-empty", "messages"),
        ("output_config.format.schema: For 'object' type, 'additionalProperties' must be false", "response_format"),
        ("output_config.effort: not supported by this model", "reasoning_effort"),
        ("output format is not supported by this model", "response_format"),
        ("adaptive thinking is not supported on this model", "reasoning_effort"),
        ("at least one message is required", None),
    ],
)
def test_a_refusal_blames_the_field_of_the_chat(words: str, blamed: str | None) -> None:
    """So that a client finds it, and the gateway learns what a model does not take."""
    fields = ("temperature", "max_completion_tokens", "messages", "response_format", "reasoning_effort")
    sent = dict.fromkeys(fields, msgspec.Raw(b"1"))
    refusal = json.loads(chat_refusal(json.dumps(failure(words)).encode(), sent))
    assert refusal == {"error": {"message": words, "type": "invalid_request_error", "param": blamed, "code": None}}


def test_a_refusal_without_words_stays_as_it_came() -> None:
    """A proxy's page, for example."""
    assert chat_refusal(b"<html>", {}) == b"<html>"


def test_no_message_stays_as_it_came() -> None:
    """Its reader says what it is: an error under a good status, for example."""
    body = json.dumps(failure("Overloaded")).encode()
    assert translation().whole(body) == body


@given(st.binary())
def test_garbage_is_called_garbage(body: bytes) -> None:
    """Whole and in a stream."""
    for read in (translation().whole, translation().events):
        try:
            read(body)
        except UpstreamGarbage:
            continue


def test_a_full_context_has_openais_code() -> None:
    """Codex and others compact their history on it."""
    refused = json.loads(chat_refusal(json.dumps(failure("prompt is too long: 9 tokens > 8 maximum")).encode(), {}))
    assert refused["error"]["code"] == "context_length_exceeded"
