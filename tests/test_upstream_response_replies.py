"""Whole chats as responses: items in OpenAI's order, states, usage, and what a reply repeats of its request."""

import json
from typing import Any

import pytest

from gateway.errors import UpstreamGarbage
from gateway.upstream.response_replies import ResponseMarks, whole_response
from gateway.upstream.response_requests import chat_of

MARKS = ResponseMarks(token="abc", created=7, model="m")
CALLS = [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}]


def response(
    message: dict[str, Any], *, finish: str = "stop", request: dict[str, Any] | None = None, **choice: Any
) -> Any:
    asked = chat_of(json.dumps({"model": "m", "input": "x", **(request or {})}).encode(), stream=False)
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2},
             "completion_tokens_details": {"reasoning_tokens": 1}}  # fmt: skip
    choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **choice}]
    body = json.dumps({"id": "chatcmpl-1", "model": "tiny", "choices": choices, "usage": usage}).encode()
    return json.loads(whole_response(body, asked, MARKS))


def test_a_text_is_a_message() -> None:
    """With ids, counts and the upstream's model."""
    made = response({"content": "It is 4"})
    assert (made["id"], made["object"], made["created_at"], made["model"]) == ("resp_abc", "response", 7, "tiny")
    assert (made["status"], made["error"], made["incomplete_details"], made["store"]) == (
        "completed",
        None,
        None,
        False,
    )
    part = {"type": "output_text", "text": "It is 4", "annotations": [], "logprobs": []}
    assert made["output"] == [
        {"id": "msg_abc", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    ]
    assert made["usage"] == {
        "input_tokens": 7, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 10,
    }  # fmt: skip


def test_reasoning_text_and_calls_come_in_this_order() -> None:
    """Calls keep their ids and the bytes of their arguments; one without an id gets one."""
    calls = [*CALLS, {"type": "function", "function": {"name": "sub", "arguments": ""}}]
    made = response({"content": "Let me", "reasoning_content": "Hm.", "tool_calls": calls}, finish="tool_calls")
    reasoning, message, first, second = made["output"]
    assert (reasoning["id"], reasoning["content"]) == ("rs_abc", [{"type": "reasoning_text", "text": "Hm."}])
    assert message["content"][0]["text"] == "Let me"
    assert first == {
        "id": "fc_abc00", "type": "function_call", "status": "completed", "call_id": "c1", "name": "add",
        "arguments": '{"a":2}',
    }  # fmt: skip
    assert (second["call_id"], second["arguments"]) == ("call_abc01", "")
    assert made["status"] == "completed"


def test_a_custom_tools_call_is_plain_text() -> None:
    """Whether or not the model wrote the object around it."""
    request = {"tools": [{"type": "custom", "name": "patch"}]}
    for arguments in ('{"input":"*** Begin"}', "*** Begin"):
        call = {"id": "c1", "type": "function", "function": {"name": "patch", "arguments": arguments}}
        (item,) = response({"content": None, "tool_calls": [call]}, request=request)["output"]
        assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", "*** Begin", "c1")


@pytest.mark.parametrize(
    ("finish", "status", "why"),
    [
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
        ("error", "failed", None),
        ("tool_calls", "completed", None),
    ],
)
def test_the_reason_to_end_becomes_a_state(finish: str, status: str, why: Any) -> None:
    """An unfinished message is marked, too; a failure has an error."""
    made = response({"content": "It"}, finish=finish)
    assert (made["status"], made["incomplete_details"]) == (status, why)
    assert made["output"][0]["status"] == ("completed" if status == "completed" else "incomplete")
    assert (made["error"] is not None) == (status == "failed")


def test_a_refusal_is_a_part_of_its_own() -> None:
    """Clients look for it there."""
    (message,) = response({"content": None, "refusal": "No."})["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_reply_repeats_its_request() -> None:
    """As OpenAI's does, with its defaults for what was not said."""
    tool = {"type": "function", "name": "add", "parameters": {"type": "object"}}
    request = {"temperature": 0.25, "tools": [tool], "metadata": {"a": "b"}, "instructions": "Hm.", "store": True,
               "text": {"format": {"type": "json_object"}}, "max_output_tokens": 9}  # fmt: skip
    made = response({"content": "4"}, request=request)
    assert {name: made[name] for name in request} == {**request, "store": False}
    assert (made["top_p"], made["tool_choice"], made["truncation"]) == (1.0, "auto", "disabled")


def test_log_probabilities_are_the_texts() -> None:
    """Token by token."""
    chances = [{"token": "4", "logprob": -0.1, "bytes": [52], "top_logprobs": []}]
    made = response({"content": "4"}, logprobs={"content": chances})
    assert made["output"][0]["content"][0]["logprobs"] == chances


def test_what_is_no_completion_is_garbage_or_stays_as_it_is() -> None:
    """An error under a good status is read where every reply is read."""
    asked = chat_of(b'{"model":"m","input":"x"}', stream=False)
    with pytest.raises(UpstreamGarbage):
        whole_response(b"[]", asked, MARKS)
    error = b'{"error":{"message":"busy","code":429}}'
    assert whole_response(error, asked, MARKS) == error
