"""Signs of failure in a reply: what each one is, and above all what it is not."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange, ToolCall
from optimizer.monitoring.signals.reply import signals

PLAIN = Exchange(
    id="x", created=1.0, task="t", client_model="m", model="small", arm="weak", rules=None, stream=False,
    status="ok", http_status=200, finish_reason="stop",
)  # fmt: skip
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                                          "required": ["city"], "additionalProperties": False}}  # fmt: skip
CHAT_TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": TOOL}]}
RESPONSES_TOOLS: dict[str, Any] = {"tools": [{"type": "function", **TOOL}], "input": "Is it raining?"}
LOOP = "I think that we should go there. " * 20


def found(
    reply: str | None, body: dict[str, Any] | None = None, *, calls: tuple[ToolCall, ...] = (), **changes: Any
) -> tuple[str, ...]:
    request = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Well?"}], **(body or {})}).encode()
    return signals(msgspec.structs.replace(PLAIN, reply=reply, tool_calls=calls, **{"request": request, **changes}))


def call(arguments: str, name: str = "weather") -> tuple[ToolCall, ...]:
    return (ToolCall(name=name, arguments=arguments),)


def test_an_ordinary_reply_has_no_signals() -> None:
    """Text that ended by itself, whatever it says."""
    assert found("It is 42.") == ()


def test_what_is_not_recorded_has_no_signals() -> None:
    """A client that opted out, and exchanges that failed or were abandoned: those have a status of their own."""
    assert found(None, finish_reason="content_filter", request=b"{}") == ()
    assert found("", status="error", http_status=502) == () == found("", status="abandoned", finish_reason="length")


@pytest.mark.parametrize("end", ["content_filter", "refusal", "SAFETY"])
def test_a_reply_that_a_filter_ended_is_a_refusal(end: str) -> None:
    """Whatever the upstream calls it."""
    assert found("Well, first", finish_reason=end) == ("refusal",)


def test_a_reply_that_begins_with_a_refusal_is_one() -> None:
    """Its wording is ``refusal``'s to know."""
    assert found("I'm sorry, but I can't assist with that.") == ("refusal",)


@pytest.mark.parametrize("end", ["length", "max_tokens", "model_length", "incomplete"])
def test_a_reply_that_was_cut_off_is_truncated(end: str) -> None:
    """At the caller's limit or the model's."""
    assert found("And then", {"max_tokens": 200}, finish_reason=end) == ("truncated",)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_caller_that_allows_a_few_tokens_wants_no_more(limit: str) -> None:
    """A class is often read from the first token; but nothing at all is too little."""
    assert found("yes", {limit: 1}, finish_reason="length") == ()
    assert found("", {limit: 1}, finish_reason="length") == ("truncated", "empty")


def test_neither_text_nor_a_call_is_empty() -> None:
    """White space is no text."""
    assert found("") == found(" \n") == ("empty",)
    assert found("", CHAT_TOOLS, calls=call('{"city": "Rome"}'), finish_reason="tool_calls") == ()


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (CHAT_TOOLS, {"finish_reason": "tool_calls"}),
        ({"tools": [{"type": "web_search"}]}, {}),
        ({"tools": [{"type": "custom", "custom": {"name": "sql"}}]}, {}),
        ({"modalities": ["text", "audio"]}, {}),
        ({"background": True}, {"finish_reason": "queued"}),
        ({"input": "to be embedded"}, {"finish_reason": None}),
    ],
)
def test_what_may_say_something_else_than_text_is_not_empty(body: dict[str, Any], changes: dict[str, Any]) -> None:
    """A call that is not recorded, a call of another kind, sound, a reply that comes later, an embedding."""
    assert found("", body, **changes) == ()


JSON_ASKED: list[dict[str, Any]] = [
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}}},
    {"response_format": {"type": "json_object", "schema": SCHEMA}},
    {"text": {"format": {"type": "json_schema", "name": "r", "schema": SCHEMA}}, "input": "Well?"},
    {"text": {"format": {"type": "json_object"}}, "input": "Well?"},
    {"format": "json"},
    {"format": SCHEMA},
]


@pytest.mark.parametrize("body", JSON_ASKED)
def test_a_text_is_no_json_where_json_was_asked_for(body: dict[str, Any]) -> None:
    """All of the text must be JSON, because the caller parses it; and at least an object."""
    assert found('{"age": 3}', body) == () == found(' {"age": 3}\n', body)
    assert found('```json\n{"age": 3}\n```', body) == found("Age: 3", body) == ("invalid_json",)
    assert found("[3]", body) == ("schema",)
    assert found('{"age": ', body, finish_reason="length") == ("truncated", "invalid_json")
    assert found("", body) == ("empty",)
    assert found("", {**body, **CHAT_TOOLS}, calls=call('{"city": "Rome"}')) == ()


@pytest.mark.parametrize("body", [asked for asked in JSON_ASKED if "integer" in str(asked)])
def test_json_must_fit_the_schema_of_its_request(body: dict[str, Any]) -> None:
    """In each way of asking for it."""
    assert found('{"age": "three"}', body) == ("schema",)


@pytest.mark.parametrize("body", [{}, {"response_format": {"type": "text"}}, {"format": "mp3"}, {"text": {}}])
def test_nobody_asked_for_json(body: dict[str, Any]) -> None:
    """Then any text will do."""
    assert found("Age: 3", body) == ()


@pytest.mark.parametrize("body", [CHAT_TOOLS, RESPONSES_TOOLS])
@pytest.mark.parametrize(
    ("calls", "fit"),
    [
        (call('{"city": "Rome"}'), True),
        (call('{"city": "Rome"'), False),
        (call('["Rome"]'), False),
        (call(""), False),
        (call('{"town": "Rome"}'), False),
        (call('{"city": 3}'), False),
        (call('{"city": "Rome"}', name="whether"), False),
        (call('{"city": "Rome"}') + call("Rome"), False),
    ],
)
def test_a_call_must_be_one_that_the_caller_can_carry_out(
    body: dict[str, Any], calls: tuple[ToolCall, ...], *, fit: bool
) -> None:
    """A tool of the request, with an object that fits its parameters, in every call."""
    assert found("", body, calls=calls, finish_reason="tool_calls") == (() if fit else ("tool_arguments",))


def test_a_tool_without_parameters_may_be_called_with_nothing() -> None:
    """Some models write no arguments at all then."""
    assert found("", {"tools": [{"type": "function", "function": {"name": "now"}}]}, calls=call("", "now")) == ()


@pytest.mark.parametrize("body", [{"tools": [{"type": "mcp"}]}, {"prompt": {"id": "pmpt_1"}, "input": "Well?"}])
def test_tools_that_the_request_does_not_hold_are_not_judged_by_name(body: dict[str, Any]) -> None:
    """A server's own tools and stored prompts bring names along; arguments must still be an object."""
    assert found("", body, calls=call("{}", "theirs")) == ()
    assert found("", body, calls=call("{", "theirs")) == ("tool_arguments",)


def test_a_reply_that_repeats_itself_is_a_loop() -> None:
    """Mostly a limit ends it."""
    assert found(LOOP, finish_reason="length") == ("truncated", "loop")
    assert found(LOOP) == ("loop",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["messages", "input", "prompt", "tools", "response_format", "text", "format", "max_tokens", "modalities"]
BODIES = st.dictionaries(st.sampled_from(FIELDS), JSON | st.sampled_from([*JSON_ASKED, CHAT_TOOLS["tools"]]))
TEXTS = st.text(max_size=60) | JSON.map(json.dumps) | st.sampled_from(["\ud800", "[" * 5000, LOOP, "1e999"])


@given(
    request=st.binary(max_size=40) | BODIES.map(lambda body: json.dumps(body).encode()),
    reply=st.none() | TEXTS,
    calls=st.lists(st.builds(ToolCall, name=st.text(max_size=5), arguments=TEXTS), max_size=2),
    end=st.none() | st.text(max_size=5) | st.sampled_from(["stop", "length", "tool_calls"]),
    stream=st.booleans(),
)
def test_it_never_raises(
    request: bytes, reply: str | None, calls: list[ToolCall], end: str | None, *, stream: bool
) -> None:
    """Whatever bytes were recorded as a request, and whatever a model wrote."""
    given_ = msgspec.structs.replace(
        PLAIN, request=request, reply=reply, tool_calls=tuple(calls), finish_reason=end, stream=stream
    )
    assert len(signals(given_)) == len(set(signals(given_)))
