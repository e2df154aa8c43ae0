"""A whole reply: read where the gateway must look, handed on as it came."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import ToolCall, Usage
from gateway.errors import UpstreamBroken, UpstreamGarbage
from gateway.formats import sse
from gateway.formats.chat_reply import ChatReader, open_completion
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG, TagFilter
from gateway.formats.transcript import Transcript

BODY = (
    b'{"id":"up-1", "x": 1.0, "choices":[ {"index":0,"message":{"role":"assistant","content":"4"},'
    b'"finish_reason":"stop"} ],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}, "y": "\\u00e9"}'
)


def test_a_reply_is_read() -> None:
    """Text, reason of its end, and usage."""
    completion = open_completion(BODY)
    assert (completion.text, completion.finish_reason) == ("4", "stop")
    assert completion.usage == Usage(prompt_tokens=7, output_tokens=3)


def test_a_reply_keeps_its_bytes_under_the_exchanges_id() -> None:
    """Only the id is another one."""
    fields = msgspec.json.decode(BODY, type=dict[str, msgspec.Raw])
    sealed = msgspec.json.decode(open_completion(BODY).sealed("ex-1"), type=dict[str, msgspec.Raw])
    assert bytes(sealed.pop("id")) == b'"ex-1"'
    assert {name: bytes(value) for name, value in sealed.items()} == {
        name: bytes(value) for name, value in fields.items() if name != "id"
    }


def test_a_reply_without_an_id_gets_one() -> None:
    """Feedback needs the exchange's id, whether or not the upstream knows ids."""
    assert json.loads(open_completion(b'{"choices":[]}').sealed("ex-1")) == {"id": "ex-1", "choices": []}


def test_text_and_usage_are_replaced_where_given() -> None:
    """What surrounds them stays."""
    sealed = json.loads(
        open_completion(BODY).sealed("ex-1", text="five", usage=Usage(prompt_tokens=9, output_tokens=8))
    )
    expected = json.loads(BODY)
    expected["id"] = "ex-1"
    expected["choices"][0]["message"]["content"] = "five"
    expected["usage"] = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
    assert sealed == expected


def test_the_choice_with_index_0_is_the_reply() -> None:
    """Upstreams may send choices in any order."""
    choices = b'[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]'
    completion = open_completion(b'{"choices":' + choices + b"}")
    assert completion.text == "a"
    sealed = json.loads(completion.sealed("ex-1", text="A"))
    assert [choice["message"]["content"] for choice in sealed["choices"]] == ["b", "A"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[]}',
        b'{"choices":[{"message":{"content":null,"tool_calls":[{"id":"t"}]}}],"usage":null}',
        b'{"choices":[{"message":{}}]}',
        b'{"choices":[{"message":{"content":[{"type":"thinking"}]}}]}',
    ],
)
def test_a_reply_may_have_no_text(body: bytes) -> None:
    """Tool calls and empty answers are replies."""
    completion = open_completion(body)
    assert (completion.text, completion.usage) == (None, Usage())


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"<html>", b'{"choices":null}', b'{"choices":[3]}', b'{"choices":[{}]}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
    ],
)  # fmt: skip
def test_what_is_no_completion_is_garbage(body: bytes) -> None:
    """It is the upstream's fault, and said so."""
    with pytest.raises(UpstreamGarbage):
        open_completion(body)


@given(st.binary())
def test_any_bytes_are_a_completion_or_garbage(body: bytes) -> None:
    """Nothing that an upstream sends raises anything else."""
    for answer in (body, BODY[: len(body)], BODY.replace(b"stop", body)):
        try:
            open_completion(answer).sealed("ex-1", text="x", usage=Usage())
        except UpstreamGarbage:
            continue


def test_what_cannot_be_rewritten_is_garbage() -> None:
    """A value that only rewriting must decode is the upstream's fault too."""
    completion = open_completion(b'{"choices":[{"message":{"content":"4"},"x":1e999}]}')
    assert completion.sealed("ex-1")
    with pytest.raises(UpstreamGarbage):
        completion.sealed("ex-1", text="x")


def test_a_legacy_completion_is_read_too() -> None:
    """Its choices have a text instead of a message."""
    assert open_completion(b'{"choices":[{"index":0,"text":"4","finish_reason":"stop"}]}').text == "4"


def chunk(**fields: Any) -> bytes:
    delta = {"content": fields.pop("text", "hi")}
    return json.dumps({"id": "up-1", "choices": [{"index": 0, "delta": delta}], **fields}).encode()


class Streamed:
    """A reader and what came of the events that it was given."""

    def __init__(
        self, *, before: Usage | None = None, hand_on_usage: bool = True, tags: TagFilter | None = None
    ) -> None:
        self.transcript = Transcript()
        self.transcript.usage = before or Usage()
        self.reader = ChatReader(self.transcript, "ex-1", hand_on_usage=hand_on_usage, tags=tags)

    def read(self, data: bytes) -> Any:
        """The decoded data of what the caller receives; ``None`` for nothing."""
        out = self.reader.read(data, sse.event_of(data))
        return None if out is None else json.loads(sse.data_of(out) or b"")


def test_a_chunk_is_read_and_handed_on_under_the_exchanges_id() -> None:
    """The first choice's text and end; every choice reaches the caller."""
    streamed = Streamed()
    data = (
        b'{"id":"up-1","choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"},'
        b'{"index":0,"delta":{"content":"yes"},"finish_reason":"stop"}]}'
    )
    assert streamed.read(data) == {**json.loads(data), "id": "ex-1"}
    assert (streamed.transcript.text, streamed.transcript.finish_reason) == ("yes", "stop")
    assert streamed.reader.finished


@pytest.mark.parametrize("data", [b"{}", b'{"choices":null,"usage":null}', b'{"choices":[{"delta":null}]}'])
def test_a_chunk_may_hold_nothing(data: bytes) -> None:
    """Every field is optional."""
    streamed = Streamed()
    assert streamed.read(data) == {**json.loads(data), "id": "ex-1"}
    assert (streamed.transcript.text, streamed.reader.finished) == ("", False)


def test_done_ends_a_stream_and_is_not_handed_on() -> None:
    """Whoever runs the passes knows when the caller's stream ends."""
    streamed = Streamed()
    assert streamed.read(b"[DONE]") is None
    assert streamed.reader.finished


@pytest.mark.parametrize("wanted", [True, False])
def test_usage_is_counted_and_handed_on_only_if_it_is_wanted(wanted: bool) -> None:
    """Upstreams are always asked for it."""
    streamed = Streamed(hand_on_usage=wanted)
    data = b'{"id":"up-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    assert (streamed.read(data) is not None) is wanted
    assert streamed.transcript.usage == Usage(prompt_tokens=1, output_tokens=2)


@pytest.mark.parametrize("choices", ["[]", '[{"index":0,"delta":{"content":"4"},"finish_reason":"stop"}]'])
def test_usage_counts_the_pass_before_wherever_it_stands(choices: str) -> None:
    """In a chunk of its own, or beside the last choice."""
    streamed = Streamed(before=Usage(prompt_tokens=10, output_tokens=20))
    counts = '{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
    out = streamed.read(f'{{"id":"up-1","choices":{choices},"usage":{counts}}}'.encode())
    assert out["usage"] == {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}


def test_an_error_in_a_stream_breaks_it_in_the_upstreams_words() -> None:
    """It never counts as a reply."""
    with pytest.raises(UpstreamBroken, match="out of memory"):
        Streamed().read(b'{"error":{"message":"out of memory"}}')


def test_working_between_tags_is_kept_back() -> None:
    """The caller receives what stands behind the closing tag."""
    streamed = Streamed(tags=TagFilter())
    pieces = [OPEN_TAG, "2 + 2 = 4", CLOSE_TAG, "\n", "4"]
    out = [streamed.read(chunk(text=piece)) for piece in pieces]
    assert out[:-1] == [None] * 4
    assert out[-1]["choices"][0]["delta"] == {"content": "4"}
    assert streamed.transcript.text == "4"


@given(st.binary() | st.integers(0, 200).map(lambda length: chunk(usage={"prompt_tokens": 1})[:length]), st.booleans())
def test_any_data_is_a_chunk_or_garbage(data: bytes, tagged: bool) -> None:
    """Nothing that an upstream streams raises anything else."""
    streamed = Streamed(before=Usage(prompt_tokens=1), tags=TagFilter() if tagged else None)
    try:
        streamed.read(data)
    except (UpstreamGarbage, UpstreamBroken):
        return


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"delta":{"content":"' + CLOSE_TAG.encode() + b'x"},"x":1e999}]}',
        b'{"choices":[],"usage":{"x":1e999}}',
    ],
)
def test_a_chunk_that_cannot_be_rewritten_is_garbage(data: bytes) -> None:
    """A value that only rewriting must decode is the upstream's fault, never the client's."""
    tags = TagFilter()
    tags.feed(CLOSE_TAG + "x")
    with pytest.raises(UpstreamGarbage):
        Streamed(before=Usage(prompt_tokens=1), tags=tags).read(data)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}], [("add", '{"a":2}')]),
        ([{"type": "custom", "custom": {"name": "x"}}], []),
        ([{"function": {"name": 3}}], []),
        ("add", []),
        (None, []),
    ],
)
def test_the_functions_that_a_reply_calls_are_read(calls: Any, expected: list[tuple[str, str]]) -> None:
    """Whatever else stands there is handed on unread."""
    body = {"choices": [{"index": 0, "message": {"content": None, "tool_calls": calls}}]}
    opened = open_completion(json.dumps(body).encode())
    assert [(call.name, call.arguments) for call in opened.tool_calls] == expected


def test_the_calls_of_a_stream_are_read() -> None:
    """Complete when the reply has ended; every event passes."""
    transcript = Transcript()
    reader = ChatReader(transcript, "ex-1", hand_on_usage=False, tags=None)
    for delta, finish in (
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "add", "arguments": ""}}]}, None),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None),
        ({}, "tool_calls"),
    ):
        data = json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()
        assert reader.read(data, sse.event_of(data)) is not None
    assert transcript.tool_calls == (ToolCall(name="add", arguments="{}"),)


@pytest.mark.parametrize("usage", [b"null", b"[]", b'"7"', b'{"prompt_tokens":[]}', b'{"prompt_tokens":-1.5}'])
def test_an_odd_usage_breaks_no_reply(usage: bytes) -> None:
    """Accounting is the gateway's own business: a count that cannot be read is zero."""
    opened = open_completion(b'{"choices":[{"message":{"content":"4"}}],"usage":%s}' % usage)
    assert (opened.text, opened.usage) == ("4", Usage())
