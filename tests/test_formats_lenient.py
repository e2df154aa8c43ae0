"""Wrong accounting counts as missing; what the caller reads must still be right."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from gateway.errors import UpstreamBroken, UpstreamGarbage
from gateway.formats.chat_reply import ChatReader, open_completion
from gateway.formats.lenient import relaxed
from gateway.formats.messages_reply import MessageOptions, to_message
from gateway.formats.responses_reply import open_response
from gateway.formats.sse import event_of
from gateway.formats.transcript import Transcript
from gateway.settings import OpenAISettings
from gateway.upstream.responding import RespondingUpstream
from tests.fakes import CONFIG, FakeReply, FakeUpstream, asked, served, settings

MESSAGE = {"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
GOOD = {"id": "up-1", "choices": [{"index": 0, **MESSAGE}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
COUNTED = Usage(prompt_tokens=7, output_tokens=3)
WRONG: list[tuple[dict[str, Any], Usage]] = [
    ({"usage": {"prompt_tokens": 7.5, "completion_tokens": 3}}, COUNTED),
    ({"usage": {"prompt_tokens": "7", "completion_tokens": 3}}, COUNTED),
    ({"usage": {"prompt_tokens": -7, "completion_tokens": True}}, Usage()),
    ({"usage": []}, Usage()),
    ({"usage": "none"}, Usage()),
    ({"usage": None}, Usage()),
    (
        {"usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": []}},
        Usage(prompt_tokens=7, output_tokens=3),
    ),
    ({"id": 17}, Usage(prompt_tokens=7, output_tokens=3)),
    ({"id": None}, Usage(prompt_tokens=7, output_tokens=3)),
    ({"choices": [{"index": None, **MESSAGE}]}, Usage(prompt_tokens=7, output_tokens=3)),
    ({"choices": [{"index": "0", **MESSAGE}]}, Usage(prompt_tokens=7, output_tokens=3)),
]


@pytest.mark.parametrize(("change", "usage"), WRONG)
def test_wrong_accounting_breaks_no_reply(change: dict[str, Any], usage: Usage) -> None:
    """Its text arrives, under our id, and what can be counted is."""
    reply = open_completion(msgspec.json.encode({**GOOD, **change}))
    assert (reply.text, reply.usage, reply.finish_reason) == ("4", usage, "stop")
    sealed = msgspec.json.decode(reply.sealed("ex-1"))
    assert sealed["id"] == "ex-1" and sealed["choices"][0]["message"]["content"] == "4"
    replaced = msgspec.json.decode(reply.sealed("ex-1", text="5", usage=Usage(prompt_tokens=1, output_tokens=2)))
    assert replaced["choices"][0]["message"]["content"] == "5" and replaced["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(("change", "usage"), WRONG)
def test_a_message_of_anthropics_is_as_lenient(change: dict[str, Any], usage: Usage) -> None:
    """One decoder for both wires."""
    body = msgspec.json.encode({**GOOD, **change})
    message = msgspec.json.decode(to_message(body, message_id="msg_1", options=MessageOptions(model="m")))
    assert message["content"][0]["text"] == "4" and message["usage"]["output_tokens"] == usage.output_tokens


@pytest.mark.parametrize("choice", [{"message": {"content": 4, "tool_calls": 3}}, {"message": 3}, 3])
def test_a_reply_without_a_readable_message_stays_garbage(choice: Any) -> None:
    """What the caller would read must be right."""
    with pytest.raises(UpstreamGarbage):
        to_message(msgspec.json.encode({"choices": [choice]}), message_id="m", options=MessageOptions(model="m"))


def read(*chunks: Any) -> tuple[ChatReader, Transcript, list[bytes | None]]:
    transcript = Transcript()
    reader = ChatReader(transcript, "ex-1", hand_on_usage=True, tags=None)
    data = [chunk if isinstance(chunk, bytes) else msgspec.json.encode(chunk) for chunk in chunks]
    return reader, transcript, [reader.read(piece, event_of(piece)) for piece in data]


def delta(text: str, reason: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": "up-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}], **more}


def test_a_stream_is_as_lenient() -> None:
    """Numeric ids, wrong counts and empty events among the others."""
    reader, transcript, out = read(
        delta("4", id=3), b"null", delta("2", "stop", usage={"prompt_tokens": [], "completion_tokens": 2})
    )
    assert (reader.finished, transcript.text, transcript.usage) == (True, "42", Usage(output_tokens=2))
    assert out[1] is None and all(b'"ex-1"' in event for event in (out[0], out[2]) if event)


def test_an_empty_reason_is_no_end() -> None:
    """A stream that closes after it was cut off; a whole reply has no reason then."""
    reader, transcript, _ = read(delta("4"), delta("", ""))
    assert not reader.finished and transcript.finish_reason is None
    cut = {"choices": [{"index": 0, "message": {"content": "4"}, "finish_reason": ""}]}
    assert open_completion(msgspec.json.encode(cut)).finish_reason is None


@pytest.mark.parametrize(
    "error", [{"object": "error", "message": "out of memory", "code": 500}, {"error": {"message": "out of memory"}}]
)
def test_an_error_in_a_stream_is_said(error: dict[str, Any]) -> None:
    """vLLM's has no wrapper, and would pass for an empty answer."""
    with pytest.raises(UpstreamBroken, match="out of memory"):
        read(delta("4"), error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "usage", "choices", "index", "message", "response", "error"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_a_reply_or_garbage(value: Any) -> None:
    """Nothing else is raised, and what is right stays as it is."""
    relaxed(value)
    try:
        open_completion(msgspec.json.encode(value))
    except UpstreamGarbage:
        return


def test_a_right_reply_stays_as_it_is() -> None:
    """Lenience changes nothing that was not wrong."""
    assert relaxed(GOOD) == GOOD


ODD: list[dict[str, Any]] = [
    {"content": [{"type": "text", "text": "It "}, {"type": "text", "text": "is 4"}]},
    {"content": "It is 4", "tool_calls": [{"id": None, "type": None, "index": "0", "function": {"name": "f"}}]},
    {"content": "It is 4", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]},
    {"content": "It is 4", "tool_calls": [{"id": 7, "function": {"name": "f", "arguments": None}}, None]},
]


@pytest.mark.parametrize("message", ODD)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_reply_in_another_shape_is_read_on_every_wire(message: dict[str, Any], stream: bool) -> None:
    """Contents as lists, arguments as objects, odd places and ids of calls."""
    choice = {"index": 0, "finish_reason": "stop"}
    kind = {"content-type": "text/event-stream" if stream else "application/json"}
    whole = msgspec.json.encode({"id": "u", "choices": [{**choice, "message": message}]})
    chunk = msgspec.json.encode({"id": "u", "choices": [{**choice, "delta": message}]})
    body = event_of(chunk) + b"data: [DONE]\n\n" if stream else whole
    upstream = FakeUpstream(lambda _: FakeReply(200, [body], kind))
    asked_for: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": asked(stream=stream),
        "/v1/messages": asked(stream=stream, max_tokens=9),
        "/v1/responses": {"model": "small", "input": "2 + 2?", "stream": stream},
        "/api/chat": asked(stream=stream),
    }
    text = CONFIG.replace('kind = "openai"', 'kind = "openai"\nresponses = "chat"')
    section = settings(text).upstreams["mock"]
    assert isinstance(section, OpenAISettings)
    responding = RespondingUpstream(upstream, "mock", section)
    async with served(responding, text) as gateway:
        for path, request in asked_for.items():
            reply = await gateway.client.post(path, json=request)
            assert reply.status_code == 200 and '"error":{' not in reply.text, (path, reply.text)
            assert "is 4" in reply.text


@pytest.mark.parametrize(
    "item",
    [
        {"type": "tool_search_call", "arguments": {"query": "x"}},
        {"type": "novel", "content": 5},
        {"type": 3, "content": [None, "x"]},
        {"type": "function_call", "name": "f", "arguments": {"a": 1}},
        {"type": "novel", "content": [{"type": 4, "text": 5}]},
    ],
)
def test_items_of_new_types_are_no_obstacle(item: Any) -> None:
    """The rest of the response is read, and its bytes stay."""
    text = {"type": "message", "content": [{"type": "output_text", "text": "4"}]}
    body = msgspec.json.encode({"id": "r", "status": "completed", "output": [item, text]})
    opened = open_response(body)
    assert opened.text == "4" and opened.sealed("x") == body
