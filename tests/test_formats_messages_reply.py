"""Chat completions and errors in Anthropic's words."""

import json
from typing import Any

import pytest
from anthropic.types import ErrorResponse, Message
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    BadRequest,
    BodyTooLarge,
    ModelNotFound,
    Overloaded,
    PreceptorError,
    StoreError,
    UpstreamBroken,
    UpstreamGarbage,
    UpstreamRefused,
    UpstreamTimeout,
    error_body,
)
from gateway.formats import messages_reply
from gateway.formats.messages_reply import MessageOptions, to_message

OPTIONS = MessageOptions(model="claude", stops=("END", "\n"), thinking=True)


def completion(finish: str | None = "stop", usage: Any = None, choice: Any = None, **message: Any) -> bytes:
    """A whole chat completion."""
    choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **(choice or {})}]
    return json.dumps({"id": "up-1", "object": "chat.completion", "choices": choices, "usage": usage}).encode()


def translated(*args: Any, options: MessageOptions = OPTIONS, **fields: Any) -> dict[str, Any]:
    """The message that it becomes, which the official client's own type takes."""
    body = to_message(completion(*args, **fields), message_id="ex-1", options=options)
    Message.model_validate_json(body, strict=True)
    message: dict[str, Any] = json.loads(body)
    return message


def call(arguments: str | None = "{}", name: str = "weather", id_: str | None = "call_1") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_reply_becomes_a_message() -> None:
    """Under the exchange's id and the client's own name of the model."""
    assert translated(content="Hello.", usage={"prompt_tokens": 7, "completion_tokens": 3}) == {
        "id": "ex-1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 3,
        },
    }


@pytest.mark.parametrize("content", [None, ""])
def test_an_empty_reply_has_no_content(content: str | None) -> None:
    """An empty block is no block."""
    assert translated(content=content)["content"] == []


def test_tool_calls_are_blocks_behind_the_text() -> None:
    """Each with its id, its name and its arguments as a value."""
    message = translated(
        "tool_calls", content="Let me look.", tool_calls=[call('{"city": "Oslo"}'), call(id_="call_2")]
    )
    assert message["stop_reason"] == "tool_use"
    assert message["content"] == [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
    ]


def test_arguments_keep_their_bytes() -> None:
    """Numbers, spacing and order are the model's."""
    arguments = '{"b" :1.0, "a": 12345678901234567890123, "c":1E+400}'
    body = to_message(completion(tool_calls=[call(arguments)]), message_id="ex-1", options=OPTIONS)
    assert f'"input":{arguments}' in body.decode()


@pytest.mark.parametrize("arguments", [None, "", "  "])
def test_no_arguments_are_an_empty_object(arguments: str | None) -> None:
    """As a tool without parameters is called."""
    (block,) = translated(tool_calls=[call(arguments)])["content"]
    assert block["input"] == {}


@pytest.mark.parametrize("arguments", ['{"city": "Os', "Oslo", "[1]", "null", '{"a":1}{}', "{" * 10**5, '{"a":NaN}'])
def test_arguments_that_are_no_object_are_kept_as_text(arguments: str) -> None:
    """A weak model's slip fails the tool's own check; it does not fail the client, and nothing is lost."""
    (block,) = translated(tool_calls=[call(arguments)])["content"]
    assert block["input"] == {"INVALID_JSON": arguments}


@pytest.mark.parametrize("id_", [None, ""])
def test_a_call_without_an_id_gets_one(id_: str | None) -> None:
    """The result must be able to name it; two calls never share one."""
    blocks = translated(tool_calls=[call(id_=id_), call(id_=id_)])["content"]
    assert [block["id"] for block in blocks] == ["toolu_ex-1_0", "toolu_ex-1_1"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_thinking_block(name: str) -> None:
    """First, under whichever name the upstream sends it."""
    said: dict[str, Any] = {"content": "4", name: "2 + 2"}
    assert translated(**said)["content"] == [
        {"type": "thinking", "thinking": "2 + 2", "signature": ""},
        {"type": "text", "text": "4"},
    ]


def test_reasoning_that_was_sent_twice_is_shown_once() -> None:
    """Some upstreams send it under both names."""
    blocks = translated(content="4", reasoning_content="2 + 2", reasoning="2 + 2")["content"]
    assert [block["type"] for block in blocks] == ["thinking", "text"]


def test_reasoning_is_shown_only_if_asked_for() -> None:
    """Clients that did not ask read the first block as text."""
    message = translated(content="4", reasoning_content="2 + 2", options=MessageOptions(model="claude"))
    assert message["content"] == [{"type": "text", "text": "4"}]


@pytest.mark.parametrize(
    ("finish", "calls", "reason"),
    [
        ("stop", False, "end_turn"),
        ("length", False, "max_tokens"),
        ("content_filter", False, "refusal"),
        ("eos", False, "end_turn"),
        (None, False, "end_turn"),
        ("tool_calls", True, "tool_use"),
        ("function_call", True, "tool_use"),
        ("stop", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("tool_calls", False, "end_turn"),
    ],
)
def test_why_a_reply_ended(finish: str | None, calls: bool, reason: str) -> None:
    """A client runs tools when it reads ``tool_use``, so that is said if and only if there are calls."""
    assert translated(finish, tool_calls=[call()] if calls else None)["stop_reason"] == reason


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
@pytest.mark.parametrize(
    ("hit", "reason", "sequence"),
    [
        ("END", "stop_sequence", "END"),
        ("</s>", "end_turn", None),
        (128009, "end_turn", None),
        (None, "end_turn", None),
        ([], "end_turn", None),
    ],
)
def test_the_stop_sequence_is_told_where_it_is_known(field: str, hit: Any, reason: str, sequence: str | None) -> None:
    """vLLM and SGLang say which one; a sequence that the client did not ask for is the model's own end."""
    message = translated("stop", content="x", choice={field: hit})
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_a_refusal_is_text() -> None:
    """OpenAI says it in a field of its own; a message has a reason for it."""
    message = translated(content=None, refusal="I will not.")
    assert message["content"] == [{"type": "text", "text": "I will not."}] and message["stop_reason"] == "refusal"


def test_what_was_cached_is_counted_apart() -> None:
    """Anthropic's input tokens are those that were not read from the cache."""
    counts = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    usage = translated(usage=counts)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (2, 8, 2)


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": None, "prompt_tokens_details": None}, {"prompt_tokens_details": {}}]
)
def test_what_was_not_counted_is_nothing(usage: Any) -> None:
    """Nothing is estimated."""
    assert set(translated(usage=usage)["usage"].values()) == {0}


def test_the_first_choice_is_handed_on() -> None:
    """A message has one."""
    body = json.dumps({"choices": [{"index": i, "message": {"content": str(i)}} for i in (1, 0)]}).encode()
    assert json.loads(to_message(body, message_id="ex-1", options=OPTIONS))["content"][0]["text"] == "0"


@given(st.binary() | st.integers(0, 200).map(lambda length: completion(content="x")[:length]))
def test_any_bytes_are_a_message_or_garbage(body: bytes) -> None:
    """Nothing that an upstream sends raises anything else."""
    try:
        to_message(body, message_id="ex-1", options=OPTIONS)
    except UpstreamGarbage:
        return


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (BadRequest("no", param="messages"), "invalid_request_error"),
        (ModelNotFound("x"), "not_found_error"),
        (BodyTooLarge("no"), "request_too_large"),
        (Overloaded("no"), "overloaded_error"),
        (StoreError("no"), "overloaded_error"),
        (PreceptorError("no"), "api_error"),
        (UpstreamBroken("no"), "api_error"),
        (UpstreamTimeout("no"), "timeout_error"),
        *(
            (UpstreamRefused(status, b"", {}), type_)
            for status, type_ in [
                (400, "invalid_request_error"),
                (401, "authentication_error"),
                (402, "billing_error"),
                (403, "permission_error"),
                (404, "not_found_error"),
                (413, "request_too_large"),
                (422, "invalid_request_error"),
                (429, "rate_limit_error"),
                (500, "api_error"),
                (529, "overloaded_error"),
            ]
        ),
    ],
)
def test_an_error_has_anthropics_type(error: PreceptorError, type_: str) -> None:
    """By its status, as the client's library expects it."""
    body = messages_reply.error_body(error, "ex-1")
    if type_ != "request_too_large":  # documented, and not among the client's types
        ErrorResponse.model_validate_json(body)
    shape = json.loads(body)
    assert (shape["type"], shape["request_id"]) == ("error", "ex-1")
    assert (shape["error"]["type"], shape["error"]["message"]) == (type_, error.message)


def test_an_errors_code_is_among_its_details() -> None:
    """Where clients look for what to do about it."""
    error = BadRequest("no", code="thread_unsupported_request")
    assert json.loads(messages_reply.error_body(error))["error"]["details"] == {
        "error_code": "thread_unsupported_request"
    }
    assert "details" not in json.loads(messages_reply.error_body(BadRequest("no")))["error"]


def test_an_upstreams_own_words_are_handed_on() -> None:
    """They say more than its status."""
    error = UpstreamRefused(400, error_body("The context is too long.", "invalid_request_error"), {})
    assert json.loads(messages_reply.error_body(error))["error"]["message"] == "The context is too long."


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"error":null}', b'{"error":"x"}', b"\xff"])
def test_a_refusal_without_words_has_ours(payload: bytes) -> None:
    """Whatever its payload is."""
    error = UpstreamRefused(400, payload, {})
    assert json.loads(messages_reply.error_body(error))["error"]["message"] == error.message


def test_a_tools_long_name_comes_back() -> None:
    """As the client declared it."""
    options = MessageOptions(model="claude", names={"short": "x" * 90})
    content = translated(tool_calls=[call(name="short"), call(name="other", id_="call_2")], options=options)["content"]
    assert [block["name"] for block in content] == ["x" * 90, "other"]


def test_a_reply_that_ended_in_an_error_is_no_reply() -> None:
    """Nothing pretends that it is whole."""
    with pytest.raises(UpstreamBroken):
        to_message(completion("error", content="It is"), message_id="ex-1", options=OPTIONS)
