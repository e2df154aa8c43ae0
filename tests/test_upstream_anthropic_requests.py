"""Chat requests as requests for a message: what arrives, what is refused, what is left out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.formats.messages import open_messages
from gateway.settings import AnthropicSettings
from gateway.upstream.anthropic_requests import FIELDS, message_request
from gateway.upstream.base import Call
from gateway.upstream.json_text import TOLD

HELLO = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
LATEST, BUDGETED = "claude-opus-5", "claude-sonnet-4-5"
EFFORTS = ["minimal", "low", "medium", "high", "xhigh", "max"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def tool(name: str, **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **function}}


def call(model: str = LATEST, *, stream: bool = False, **fields: Any) -> Call:
    body = {"model": "small", "messages": HELLO, **fields}
    return Call(model=model, body=json.dumps(body).encode(), stream=stream)


def asked(model: str = LATEST, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """The request, without the messages."""
    settings = AnthropicSettings(max_tokens=500)
    body: dict[str, Any] = json.loads(message_request(call(model, stream=stream, **fields), settings).body)
    assert body.pop("messages") == HELLO and body.pop("model") == model
    return body


def test_a_plain_chat_needs_a_limit() -> None:
    """The client's under either name, else that of the settings."""
    assert asked() == {"max_tokens": 500}
    assert asked(max_tokens=7) == asked(max_completion_tokens=7) == {"max_tokens": 7}


def test_a_json_object_is_asked_for_in_words() -> None:
    """Anthropic enforces schemas only, and those close every object; the reply is cut to its object."""
    made = message_request(call(response_format={"type": "json_object"}), AnthropicSettings(cache_chats=False))
    assert made.json_object and json.loads(made.body)["system"] == [{"type": "text", "text": TOLD}]
    system = [{"role": "system", "content": "Be brief."}, *HELLO]
    plain = message_request(call(messages=system, response_format={"type": "text"}), AnthropicSettings())
    told = message_request(call(messages=system, response_format={"type": "json_object"}), AnthropicSettings())
    assert not plain.json_object
    assert [block["text"] for block in json.loads(told.body)["system"]] == ["Be brief.", TOLD]


def test_a_stream_is_asked_for_as_a_stream() -> None:
    """Usage is the translation's own business."""
    assert asked(stream=True, stream_options={"include_usage": True}) == {"max_tokens": 500, "stream": True}
    with_usage = call(stream=True, stream_options={"include_usage": True})
    assert message_request(with_usage, AnthropicSettings()).include_usage
    assert not message_request(call(stream=True), AnthropicSettings()).include_usage


@pytest.mark.parametrize(("given", "sent"), [(0.3, 0.3), (1, 1), (1.7, 1.0), (-1, 0.0)])
def test_the_temperature_is_clamped(given: float, sent: float) -> None:
    """OpenAI's goes up to 2."""
    assert asked(temperature=given)["temperature"] == sent


def test_top_p_of_1_is_left_out() -> None:
    """It changes nothing, and some models take temperature or top_p, not both."""
    assert asked(top_p=1) == {"max_tokens": 500}
    assert asked(top_p=0.5, top_k=3) == {"max_tokens": 500, "top_p": 0.5, "top_k": 3}


@pytest.mark.parametrize(("stop", "sent"), [("END", ["END"]), (["a", "b"], ["a", "b"])])
def test_stop_sequences(stop: Any, sent: list[str]) -> None:
    """A lone one becomes a list."""
    assert asked(stop=stop)["stop_sequences"] == sent


def test_tools_are_declared_in_anthropics_words() -> None:
    """The schema keeps its bytes; none at all is an object without properties."""
    tools = [tool("a", description="Does a.", strict=True), {"type": "function", "function": {"name": "b"}}]
    assert asked(tools=tools)["tools"] == [
        {"name": "a", "description": "Does a.", "input_schema": SCHEMA},
        {"name": "b", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("fields", "choice", "names"),
    [
        ({}, None, ["a", "b"]),
        ({"tool_choice": "auto"}, {"type": "auto"}, ["a", "b"]),
        ({"tool_choice": "none"}, {"type": "none"}, ["a", "b"]),
        ({"tool_choice": "required"}, {"type": "any"}, ["a", "b"]),
        (
            {"tool_choice": {"type": "function", "function": {"name": "b"}}},
            {"type": "tool", "name": "b"},
            ["a", "b"],
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}, ["a", "b"]),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}, ["a", "b"]),
        ({"parallel_tool_calls": True}, None, ["a", "b"]),
        (
            {"tool_choice": {"type": "allowed_tools",
                             "allowed_tools": {"mode": "required",
                                               "tools": [{"type": "function", "function": {"name": "b"}}]}}},
            {"type": "any"},
            ["b"],
        ),
    ],
)  # fmt: skip
def test_the_choice_among_tools(fields: dict[str, Any], choice: Any, names: list[str]) -> None:
    """Every way in which OpenAI's clients choose."""
    body = asked(tools=[tool("a"), tool("b")], **fields)
    assert body.get("tool_choice") == choice and [declared["name"] for declared in body["tools"]] == names


def test_without_tools_there_is_nothing_to_choose() -> None:
    """Anthropic refuses a choice then."""
    assert asked(tool_choice="auto", parallel_tool_calls=False) == {"max_tokens": 500}


def test_a_schema_of_the_reply() -> None:
    """Structured output on either side."""
    format_ = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True}}
    schema = {**SCHEMA, "additionalProperties": False}
    assert asked(response_format=format_)["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "output_config" not in asked(response_format={"type": "text"})


@pytest.mark.parametrize("effort", EFFORTS)
def test_an_effort_is_told_to_models_that_take_it(effort: str) -> None:
    """They decide themselves how much to think."""
    body = asked(reasoning_effort=effort, temperature=0.2, top_p=0.5, top_k=3)
    sent = "low" if effort == "minimal" else effort
    assert body == {
        "max_tokens": 500, "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": sent},
    }  # fmt: skip


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("model", [BUDGETED, "claude-3-7-sonnet-latest", "claude-opus-4-20250514", "claude-haiku-4-5"])
def test_an_effort_is_a_budget_for_other_models(model: str, effort: str) -> None:
    """On top of the limit of the settings."""
    budget = AnthropicSettings().thinking_tokens[effort]
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert asked(model, reasoning_effort=effort) == {"max_tokens": 500 + budget, "thinking": thinking}


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-10", LATEST, "other"])
def test_later_models_have_no_budget(model: str) -> None:
    """It is deprecated there, or refused."""
    assert asked(model, reasoning_effort="low")["thinking"]["type"] == "adaptive"


@pytest.mark.parametrize(("limit", "budget"), [(8000, 4000), (2100, 1050), (2000, None)])
def test_thinking_takes_half_of_the_clients_limit_at_most(limit: int, budget: int | None) -> None:
    """As at OpenAI the limit counts thinking, too; too small a one leaves none."""
    body = asked(BUDGETED, reasoning_effort="high", max_completion_tokens=limit)
    assert body["max_tokens"] == limit
    assert body.get("thinking", {}).get("budget_tokens") == budget


def test_no_effort_is_no_thinking() -> None:
    """Said outright: some models think by themselves."""
    body = asked(reasoning_effort="none", temperature=0.5)
    assert body == {"max_tokens": 500, "thinking": {"type": "disabled"}, "temperature": 0.5}


def test_a_forced_call_leaves_no_room_for_thinking() -> None:
    """Anthropic refuses both at once; the effort stays."""
    body = asked(reasoning_effort="low", tools=[tool("a")], tool_choice="required")
    assert "thinking" not in body and body["output_config"] == {"effort": "low"}
    assert "thinking" not in asked(BUDGETED, reasoning_effort="low", tools=[tool("a")], tool_choice="required")


def test_the_clients_own_thinking_counts() -> None:
    """Anthropic's parameters pass in a chat, too."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body = asked(thinking=thinking, reasoning_effort="high", output_config={"effort": "max"}, max_tokens=4000)
    assert body == {"max_tokens": 4000, "thinking": thinking, "output_config": {"effort": "max"}}


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_the_end_user_is_named(name: str) -> None:
    """For Anthropic's own checks; metadata is for OpenAI's storage."""
    fields: dict[str, Any] = {name: "u1"}
    assert asked(**fields, metadata={"a": "b"})["metadata"] == {"user_id": "u1"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2), ("logprobs", True), ("top_logprobs", 3), ("logit_bias", {"5": 1}), ("audio", {"voice": "x"}),
        ("functions", [{"name": "f"}]), ("function_call", "auto"), ("web_search_options", {}),
        ("response_format", {"type": "json_schema"}),
        ("response_format", {"type": "grammar"}), ("tools", [{"type": "custom", "custom": {"name": "x"}}]),
        ("tools", "x"), ("stop", 3), ("temperature", "hot"), ("max_tokens", "many"), ("reasoning_effort", 3),
    ],
)  # fmt: skip
def test_what_a_message_cannot_do_is_refused_by_name(field: str, value: Any) -> None:
    """Nothing is dropped that the reply would differ without."""
    with pytest.raises(BadRequest) as caught:
        asked(**{field: value})
    assert caught.value.param == field


@pytest.mark.parametrize("choice", ["sometimes", {"type": "custom", "custom": {"name": "x"}}])
def test_an_unknown_choice_is_refused(choice: Any) -> None:
    """Among tools that are there."""
    with pytest.raises(BadRequest) as caught:
        asked(tools=[tool("a")], tool_choice=choice)
    assert caught.value.param == "tool_choice"


def test_harmless_values_pass() -> None:
    """Clients send defaults."""
    harmless: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "top_logprobs": 0,
        "logit_bias": {},
        "functions": [],
        "audio": None,
    }
    assert asked(**harmless, seed=1, presence_penalty=0.5, store=False, verbosity="low") == {"max_tokens": 500}


def test_a_translated_request_is_read_as_it_was_meant() -> None:
    """Held against the translation the other way round."""
    fields: dict[str, Any] = {
        "max_tokens": 9, "stop": ["END"], "temperature": 0.5, "user": "u1", "tools": [tool("a", description="Does a.")],
        "tool_choice": "required", "parallel_tool_calls": False,
    }  # fmt: skip
    body = message_request(call(**fields), AnthropicSettings()).body
    assert json.loads(open_messages(body).body) == {"model": LATEST, "messages": HELLO, **fields}


@given(st.dictionaries(st.sampled_from([*FIELDS, "seed"]), JSON))
def test_any_request_is_translated_or_refused(fields: dict[str, Any]) -> None:
    """Never an error of ours, and always JSON."""
    body = {"messages": HELLO, **fields}
    try:
        sent = Call(model=LATEST, body=json.dumps(body).encode())
        json.loads(message_request(sent, AnthropicSettings()).body)
    except (BadRequest, UnicodeEncodeError):
        return
