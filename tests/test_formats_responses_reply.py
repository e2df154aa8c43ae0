"""Replies of the Responses API: they keep the upstream's id and bytes, and are read on the way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from gateway.errors import UpstreamBroken, UpstreamGarbage
from gateway.formats import sse
from gateway.formats.responses_reply import ResponsesReader, open_response
from gateway.formats.transcript import Transcript


def response(**fields: Any) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": "It is "}, {"type": "output_text", "text": "4"}]
    return {
        "id": "resp_1", "object": "response", "status": "completed",
        "output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": parts}],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, "output_tokens_details": {"x": 1}},
        **fields,
    }  # fmt: skip


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_response_is_read_and_keeps_its_bytes() -> None:
    """Its id stays the upstream's, because later requests refer to it."""
    body = encoded(response())
    opened = open_response(body)
    assert (opened.id, opened.text, opened.finish_reason) == ("resp_1", "It is 4", "stop")
    assert opened.usage == Usage(prompt_tokens=7, output_tokens=3)
    assert opened.sealed("ex-1") == body


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "failed"}, "failed"),
        ({"status": "queued", "output": None, "usage": None}, "queued"),
    ],
)
def test_how_a_response_ended_is_said_in_the_words_of_a_chat(fields: dict[str, Any], reason: str) -> None:
    """One vocabulary in the records."""
    assert open_response(encoded(response(**fields))).finish_reason == reason


def test_a_response_repeats_the_callers_own_instructions() -> None:
    """Whatever the model was told besides; where they are the caller's, every byte stays."""
    told = encoded(response(instructions="Be brief.\n\nRules", tail=[1.50]))
    assert json.loads(open_response(told, "Be brief.").sealed("x")) == response(instructions="Be brief.", tail=[1.5])
    assert json.loads(open_response(told, None).sealed("x"))["instructions"] is None
    assert open_response(told, "Be brief.\n\nRules").sealed("x") == told
    silent = encoded(response(instructions=None))
    assert open_response(silent, "Be brief.").sealed("x") == silent


@pytest.mark.parametrize("type_", ["response.created", "response.completed"])
def test_an_event_repeats_the_callers_own_instructions(type_: str) -> None:
    """From the first event on; events without the response stay as they came."""
    data = encoded({"type": type_, "sequence_number": 3, "response": response(instructions="Be brief.\n\nRules")})
    out = ResponsesReader(Transcript(), "Be brief.").read(data, sse.event_of(data))
    assert out is not None and out.startswith(f"event: {type_}\n".encode())
    assert json.loads(sse.data_of(out) or b"")["response"] == response(instructions="Be brief.")
    delta = encoded({"type": "response.output_text.delta", "delta": "4"})
    assert ResponsesReader(Transcript(), "Be brief.").read(delta, sse.event_of(delta)) == sse.event_of(delta)


def test_usage_counts_the_pass_before() -> None:
    """Details that the upstream reports are kept."""
    sealed = open_response(encoded(response())).sealed("ex-1", usage=Usage(prompt_tokens=17, output_tokens=23))
    assert json.loads(sealed) == response(
        usage={"input_tokens": 17, "output_tokens": 23, "total_tokens": 40, "output_tokens_details": {"x": 1}}
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":3}', b'{"id":"r","output":[3]}', b"<html>"])
def test_what_is_no_response_is_garbage(body: bytes) -> None:
    """It is the upstream's fault, and said so."""
    with pytest.raises(UpstreamGarbage):
        open_response(body)


def stream(reader: ResponsesReader, *events: dict[str, Any]) -> list[bytes | None]:
    out = []
    for event in events:
        data = encoded(event)
        out.append(reader.read(data, f"event: {event['type']}\n".encode() + sse.event_of(data)))
    return out


CREATED = {"type": "response.created", "response": response(status="in_progress", output=[], usage=None)}
DELTAS = [{"type": "response.output_text.delta", "delta": piece} for piece in ("It is ", "4")]
COMPLETED = {"type": "response.completed", "response": response()}


def test_a_stream_is_read_and_keeps_its_bytes() -> None:
    """Text, id, usage and end; every event is handed on as it came."""
    transcript = Transcript()
    reader = ResponsesReader(transcript)
    out = stream(reader, CREATED, *DELTAS)
    assert not reader.finished
    out += stream(reader, COMPLETED)
    assert [json.loads(sse.data_of(event or b"") or b"") for event in out] == [CREATED, *DELTAS, COMPLETED]
    assert (transcript.reply_id, transcript.text, transcript.finish_reason) == ("resp_1", "It is 4", "stop")
    assert (reader.finished, transcript.usage) == (True, Usage(prompt_tokens=7, output_tokens=3))


def test_the_finished_response_counts_the_pass_before() -> None:
    """The caller pays for both."""
    transcript = Transcript()
    transcript.usage = Usage(prompt_tokens=10, output_tokens=20)
    (out,) = stream(ResponsesReader(transcript), COMPLETED)
    assert out is not None and out.startswith(b"event: response.completed\ndata: ")
    assert json.loads(sse.data_of(out) or b"")["response"]["usage"]["total_tokens"] == 40


@pytest.mark.parametrize("event", [{"type": "error", "message": "no"}, {"error": {"message": "no"}, "type": ""}])
def test_an_error_in_a_stream_breaks_it(event: dict[str, Any]) -> None:
    """In OpenAI's form and in the form of servers that borrow it from chats."""
    with pytest.raises(UpstreamBroken, match="no"):
        stream(ResponsesReader(Transcript()), event)


@given(st.binary(), st.integers(0, 300))
def test_any_data_is_an_event_or_garbage(data: bytes, length: int) -> None:
    """Nothing that an upstream streams raises anything else."""
    for one in (data, encoded(COMPLETED)[:length], encoded({**COMPLETED, "response": data.decode("latin-1")})):
        transcript = Transcript()
        transcript.usage = Usage(prompt_tokens=1)
        try:
            ResponsesReader(transcript).read(one, sse.event_of(one))
        except (UpstreamGarbage, UpstreamBroken):
            continue


def test_the_functions_that_a_response_calls_are_read() -> None:
    """They are items of their own beside the text."""
    call = {"type": "function_call", "call_id": "c", "name": "add", "arguments": '{"a":2}'}
    opened = open_response(encoded(response(output=[call])))
    assert [(one.name, one.arguments) for one in opened.tool_calls] == [("add", '{"a":2}')]
