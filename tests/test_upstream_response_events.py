"""A chat's stream as events of a response, in OpenAI's order."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.errors import UpstreamGarbage
from gateway.upstream.response_events import ResponseStream
from gateway.upstream.response_replies import ResponseMarks, whole_response
from gateway.upstream.response_requests import chat_of

MARKS = ResponseMarks(token="abc", created=7, model="m")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
BEGINS = ["response.created", "response.in_progress"]


def request(**fields: Any) -> Any:
    return chat_of(json.dumps({"model": "m", "input": "x", **fields}).encode(), stream=True)


def streamed(*deltas: dict[str, Any], finish: str | None = "stop", **fields: Any) -> list[dict[str, Any]]:
    """The events for some deltas, each as OpenAI's own client validates it."""
    bodies: list[Any] = [{"model": "tiny", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if finish is not None:
        bodies.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return fed([*bodies, {"choices": [], "usage": USAGE}], **fields)


def fed(bodies: Sequence[Any], **fields: Any) -> list[dict[str, Any]]:
    stream = ResponseStream(request(**fields), MARKS)
    text = b"".join(stream.events(json.dumps(body).encode()) for body in bodies) + stream.events(b"[DONE]")
    blocks = [block.split("\n") for block in text.decode().split("\n\n") if block]
    events = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name.removeprefix("event: ") for name, _ in blocks] == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        EVENT.validate_python(event)
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def piece(
    index: int | None = None, id_: str | None = None, name: str | None = None, arguments: str = ""
) -> dict[str, Any]:
    call = {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in call.items() if value is not None}]}


def test_a_text_is_streamed_in_openais_order() -> None:
    """From ``created`` to ``completed``, with the whole response and its usage at the end."""
    events = streamed({"role": "assistant", "content": ""}, {"content": "It is"}, {"content": " 4"})
    assert kinds(events) == [
        *BEGINS, "response.output_item.added", "response.content_part.added", "response.output_text.delta",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event["delta"] for event in events if event["type"].endswith("text.delta")] == ["It is", " 4"]
    last = events[-1]["response"]
    assert (last["status"], last["usage"]["output_tokens"], last["model"]) == ("completed", 3, "tiny")
    assert events[0]["response"]["status"] == "in_progress" and events[0]["response"]["usage"] is None


def test_a_streams_response_is_that_of_a_whole_reply() -> None:
    """Items, ids and states."""
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}
    message = {"role": "assistant", "content": "Hm", "reasoning_content": "Let me", "tool_calls": [call]}
    body = {
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }
    whole = json.loads(whole_response(json.dumps(body).encode(), request(), MARKS))
    events = streamed(
        {"reasoning_content": "Let"}, {"reasoning_content": " me"}, {"content": "Hm"},
        piece(0, "c1", "add"), piece(0, arguments='{"a"'), piece(0, arguments=":2}"), finish="tool_calls",
    )  # fmt: skip
    assert events[-1]["response"] == whole
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.added"] == [0, 1, 2]


def test_calls_may_overlap() -> None:
    """Their pieces carry the place of their item; each is done once, in order."""
    events = streamed(
        piece(0, "c1", "add", '{"a"'), piece(1, "c2", "sub", '{"b"'), piece(0, arguments=":1}"),
        piece(1, arguments=":2}"), finish="tool_calls",
    )  # fmt: skip
    done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [(event["output_index"], event["arguments"], event["name"]) for event in done] == [
        (0, '{"a":1}', "add"), (1, '{"b":2}', "sub"),
    ]  # fmt: skip
    deltas = [event["output_index"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert deltas == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "c1", "add", "{}"), piece(0, "c2", "sub", "{}")],
        [piece(None, "c1", "add", "{"), piece(None, None, None, "}"), piece(None, "c2", "sub", "{}")],
        [piece(0, "c1", "add", "{"), piece(0, "c1", None, "}"), piece(1, "c2", "sub", "{}")],
    ],
    ids=["every index 0", "no index", "ids repeated"],
)
def test_pieces_find_their_call_however_they_are_marked(pieces: list[dict[str, Any]]) -> None:
    """By id, by index, by both or by neither."""
    output = streamed(*pieces, finish="tool_calls")[-1]["response"]["output"]
    assert [(item["call_id"], item["name"], item["arguments"]) for item in output] == [
        ("c1", "add", "{}"), ("c2", "sub", "{}"),
    ]  # fmt: skip


def test_a_custom_tools_text_comes_whole() -> None:
    """Out of the object that the model wrote around it."""
    tools = [{"type": "custom", "name": "patch"}]
    events = streamed(
        piece(0, "c1", "patch", '{"input":"a'), piece(0, arguments='b"}'), finish="tool_calls", tools=tools
    )
    assert kinds(events)[2:-1] == [
        "response.output_item.added", "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]  # fmt: skip
    assert events[-1]["response"]["output"][0]["input"] == "ab"


@pytest.mark.parametrize(
    ("finish", "kind"), [("length", "incomplete"), ("content_filter", "incomplete"), ("error", "failed")]
)
def test_an_unfinished_response_says_so(finish: str, kind: str) -> None:
    """In the name of its last event, and in its items."""
    last = streamed({"content": "It"}, finish=finish)[-1]
    assert (last["type"], last["response"]["status"]) == (f"response.{kind}", kind)
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_a_stream_without_a_reason_to_end_has_no_last_event() -> None:
    """It broke off, and the gateway says so."""
    assert kinds(streamed({"content": "It"}, finish=None))[-1] == "response.output_text.delta"


def test_a_refusal_has_events_of_its_own() -> None:
    """As a part of a message."""
    events = streamed({"refusal": "No."})
    assert "response.refusal.delta" in kinds(events) and "response.refusal.done" in kinds(events)
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize("body", [{"error": {"message": "busy"}}, {"object": "error", "message": "busy"}])
def test_an_error_in_a_stream_is_an_error_event(body: dict[str, Any]) -> None:
    """In the upstream's words."""
    event = fed([body])[0]
    assert (event["type"], event["message"]) == ("error", "busy")


def test_what_is_no_chunk_is_garbage_and_null_is_nothing() -> None:
    """As everywhere."""
    assert fed([None]) == []
    with pytest.raises(UpstreamGarbage):
        fed([[1]])


def test_a_call_of_a_namespace_comes_back_under_it() -> None:
    """As the client declared it, whole and streamed."""
    inner = {"type": "function", "name": "spawn", "parameters": {"type": "object"}}
    tools = [{"type": "namespace", "name": "agents", "description": "Agents.", "tools": [inner]}]
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "agents__spawn", "arguments": "{}"}}
    told = streamed({"tool_calls": [call]}, finish="tool_calls", tools=tools)
    item = told[-1]["response"]["output"][0]
    assert (item["namespace"], item["name"], item["arguments"]) == ("agents", "spawn", "{}")
    assert next(event["name"] for event in told if event["type"].endswith("arguments.done")) == "spawn"


def test_the_code_of_an_error_in_the_stream_stays() -> None:
    """Clients act on it."""
    error = {"error": {"message": "maximum context length is 8", "code": "context_length_exceeded"}}
    assert fed([error])[-1]["code"] == "context_length_exceeded"
