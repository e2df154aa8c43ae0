"""A chat's stream as Ollama's lines."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import UpstreamGarbage
from gateway.formats.ollama_reply import Moment
from gateway.formats.ollama_request import NativeShape
from gateway.formats.ollama_stream import NativeStream, silent_line
from tests.fakes import events

SHAPE = NativeShape(model="small")


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def lines(fed: Sequence[bytes], shape: NativeShape = SHAPE) -> list[dict[str, Any]]:
    """The lines for events, a second each."""
    stream = NativeStream(shape)
    text = b"".join(stream.feed(event, Moment(wall_s=0.0, elapsed_s=at + 1.0)) for at, event in enumerate(fed))
    return [json.loads(line) for line in text.splitlines()]


def test_words_come_as_they_are_said_and_counts_at_the_end() -> None:
    """The first piece ends the time of the prompt."""
    *said, last = lines(events(["It is", " 4"]))
    assert [line["message"] for line in said] == [
        {"role": "assistant", "content": "It is"}, {"role": "assistant", "content": " 4"},
    ]  # fmt: skip
    assert not any(line["done"] for line in said)
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")
    assert (last["prompt_eval_count"], last["eval_count"]) == (7, 3)
    assert last["prompt_eval_duration"] == 2 * 10**9  # the first event only names the role
    assert last["prompt_eval_duration"] + last["eval_duration"] == last["total_duration"]


def test_calls_come_whole_in_a_line_of_their_own() -> None:
    """Whatever pieces they arrived in."""
    begins = {"index": 0, "id": "call_0", "function": {"name": "add", "arguments": '{"a"'}}
    goes_on = {"index": 0, "function": {"arguments": ":2}"}}
    other = {"index": 1, "id": "call_1", "function": {"name": "tell", "arguments": "{}"}}
    fed = [chunk({"tool_calls": [piece]}) for piece in (begins, goes_on, other)]
    called, last = lines([*fed, chunk({}, "tool_calls"), b"data: [DONE]\n\n"])
    assert called["message"]["tool_calls"] == [
        {"id": "call_0", "function": {"index": 0, "name": "add", "arguments": {"a": 2}}},
        {"id": "call_1", "function": {"index": 1, "name": "tell", "arguments": {}}},
    ]
    assert (called["done"], last["done_reason"]) == (False, "stop")
    assert last["eval_duration"] > 0


def test_thoughts_are_pieces_of_their_own() -> None:
    """And left out where they are unwanted."""
    fed = [chunk({"reasoning_content": "Hm."}), chunk({"content": "4"}), chunk({}, "stop"), b"data: [DONE]\n\n"]
    assert lines(fed)[0]["message"] == {"role": "assistant", "content": "", "thinking": "Hm."}
    assert [line["message"]["content"] for line in lines(fed, NativeShape(model="small", thinking=False))] == ["4", ""]


def test_a_generated_text_is_a_response() -> None:
    """Also out of a completion's chunks."""
    text = b'data: {"choices":[{"index":0,"text":" 4","finish_reason":"length"}]}\n\n'
    told, last = lines([text, b"data: [DONE]\n\n"], NativeShape(model="small", api="generate"))
    assert (told["response"], last["response"], last["done_reason"]) == (" 4", "", "length")


def test_only_the_first_choice_and_only_data_count() -> None:
    """Comments and other choices are passed over."""
    other = b'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n'
    assert lines([b": ping\n\n", other]) == []


def test_what_is_no_chunk_is_garbage() -> None:
    """Told as the upstream's fault."""
    with pytest.raises(UpstreamGarbage):
        lines([b"data: [1]\n\n"])


def test_a_sign_of_life_is_a_line_without_a_word() -> None:
    """An empty line would break clients."""
    line = json.loads(silent_line(SHAPE, Moment(wall_s=0.0, elapsed_s=1.0)))
    assert line["message"] == {"role": "assistant", "content": ""} and line["done"] is False
