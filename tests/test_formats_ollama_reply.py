"""Whole replies and errors in Ollama's shape."""

import json
from typing import Any

import pytest

from gateway.errors import BadRequest, UpstreamGarbage, UpstreamRefused
from gateway.formats.ollama_reply import Moment, embedded, loaded, native_error, to_native
from gateway.formats.ollama_request import NativeShape

NOW = Moment(wall_s=1_800_000_000.25, elapsed_s=1.5)
CHAT = NativeShape(model="small:latest")
GENERATE = NativeShape(model="small", api="generate")


def replied(message: dict[str, Any], *, shape: NativeShape = CHAT, finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **more}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    reply: dict[str, Any] = json.loads(
        to_native(json.dumps({"choices": [choice], "usage": usage}).encode(), shape=shape, now=NOW)
    )
    return reply


def test_a_reply_has_text_counts_and_times() -> None:
    """Times in nanoseconds; a reply in one piece has no time of its prompt."""
    assert replied({"content": "4"}) == {
        "model": "small:latest",
        "created_at": "2027-01-15T08:00:00.250000Z",
        "message": {"role": "assistant", "content": "4"},
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_500_000_000,
        "load_duration": 0,
        "eval_duration": 1_500_000_000,
        "prompt_eval_count": 7,
        "eval_count": 3,
    }


def test_a_generated_text_has_another_place() -> None:
    """And so has the model's reasoning."""
    reply = replied({"content": "4", "reasoning_content": "Hm."}, shape=GENERATE)
    assert (reply["response"], reply["thinking"]) == ("4", "Hm.")
    assert "message" not in reply


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_shown_unless_it_is_unwanted(field: str) -> None:
    """Under either name."""
    quiet = NativeShape(model="small", thinking=False)
    assert replied({"content": "4", field: "Hm."})["message"]["thinking"] == "Hm."
    assert "thinking" not in replied({"content": "4", field: "Hm."}, shape=quiet)["message"]


def test_calls_have_objects_as_arguments() -> None:
    """Clients take nothing else; what a model wrote badly stays visible to the tool."""
    functions = [
        {"name": "add", "arguments": '{"a":2.0}'},
        {"name": "tell", "arguments": ""},
        {"name": "x", "arguments": "[1"},
    ]
    calls = [{"id": f"call_{at}", "type": "function", "function": each} for at, each in enumerate(functions)]
    reply = replied({"content": None, "tool_calls": calls}, finish="tool_calls")
    assert (reply["message"]["content"], reply["done_reason"]) == ("", "stop")
    assert reply["message"]["tool_calls"] == [
        {"id": "call_0", "function": {"index": 0, "name": "add", "arguments": {"a": 2.0}}},
        {"id": "call_1", "function": {"index": 1, "name": "tell", "arguments": {}}},
        {"id": "call_2", "function": {"index": 2, "name": "x", "arguments": {"INVALID_JSON": "[1"}}},
    ]


def test_calls_without_ids_or_numbers_stay_apart() -> None:
    """Some servers send neither."""
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("a", "b")]
    named = [call["function"]["name"] for call in replied({"tool_calls": calls})["message"]["tool_calls"]]
    assert named == ["a", "b"]


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "length"), ("tool_calls", "stop"), ("content_filter", "content_filter")]
)
def test_the_reason_to_end_is_ollamas(finish: str, reason: str) -> None:
    """Reasons that Ollama does not have keep their name."""
    assert replied({"content": "4"}, finish=finish)["done_reason"] == reason


def test_log_probabilities_stand_beside_the_message() -> None:
    """Token by token."""
    chances = [{"token": "4", "logprob": -0.1, "top_logprobs": []}]
    assert replied({"content": "4"}, logprobs={"content": chances})["logprobs"] == chances


def test_a_line_is_one_line_for_every_reader() -> None:
    """Some take U+0085, U+2028 and U+2029 for ends of lines."""
    text = "a\u0085b\u2028c\u2029d"
    body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
    reply = to_native(body, shape=CHAT, now=NOW)
    assert len(reply.decode().splitlines()) == 1
    assert json.loads(reply)["message"]["content"] == text


def test_a_completion_has_its_text_in_the_choice() -> None:
    """A prompt without the template is answered by one."""
    body = json.dumps({"choices": [{"index": 0, "text": " 4", "finish_reason": "length"}]}).encode()
    reply = json.loads(to_native(body, shape=GENERATE, now=NOW))
    assert (reply["response"], reply["done_reason"]) == (" 4", "length")
    assert "eval_count" not in reply


def test_what_is_no_completion_is_garbage() -> None:
    """Told as the upstream's fault."""
    with pytest.raises(UpstreamGarbage):
        to_native(b"[]", shape=CHAT, now=NOW)


def test_a_model_is_loaded_without_a_word() -> None:
    """In either shape."""
    assert json.loads(loaded(CHAT, "load", NOW)) == {
        "model": "small:latest", "created_at": "2027-01-15T08:00:00.250000Z",
        "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "load",
    }  # fmt: skip
    assert json.loads(loaded(GENERATE, "unload", NOW))["done_reason"] == "unload"


def test_vectors_come_in_the_order_of_their_texts() -> None:
    """Numbers keep their bytes; the older path has one vector."""
    items = [{"index": 1, "embedding": [2.50]}, {"index": 0, "embedding": [1e-3]}]
    body = json.dumps({"object": "list", "data": items, "usage": {"prompt_tokens": 4, "total_tokens": 4}}).encode()
    assert json.loads(embedded(body, model="small", elapsed_s=0.5, old=False)) == {
        "model": "small", "embeddings": [[0.001], [2.5]], "total_duration": 500_000_000, "load_duration": 0,
        "prompt_eval_count": 4,
    }  # fmt: skip
    assert json.loads(embedded(body, model="small", elapsed_s=0.5, old=True)) == {"embedding": [0.001]}


def test_an_error_is_a_text() -> None:
    """The upstream's own words where it has some."""
    refused = UpstreamRefused(400, b'{"error":{"message":"too long"}}', {})
    assert native_error(refused) == b'{"error":"too long"}'
    assert native_error(BadRequest("no")) == b'{"error":"no"}'
