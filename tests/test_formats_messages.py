"""Anthropic's requests as chat completion requests: everything arrives, or is refused with its place."""

import hashlib
import json
from typing import Any

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.formats.messages import FIELDS, MAX_USER, MessagesRequest, open_messages
from gateway.formats.messages_reply import MessageOptions

HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}

HEADERS = {"betas", "workspace_id"}
"""Parameters of the client library that travel as headers."""


def opened(**fields: Any) -> MessagesRequest:
    return open_messages(json.dumps({"model": "claude", "max_tokens": 9, "messages": HELLO, **fields}).encode())


def chat(**fields: Any) -> dict[str, Any]:
    """The chat request that a request becomes, without the three fields that each one has."""
    body: dict[str, Any] = json.loads(opened(**fields).body)
    return {name: value for name, value in body.items() if name not in ("model", "max_tokens", "messages")}


def turns(*messages: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """The messages of a chat that these turns become."""
    translated: list[dict[str, Any]] = json.loads(opened(messages=messages, **fields).body)["messages"]
    return translated


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def result(content: Any = "sunny", id_: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, "content": content, **more}


def refused(**fields: Any) -> str | None:
    """The place that the refusal of a request names; its message begins with it."""
    with pytest.raises(BadRequest) as caught:
        opened(**fields)
    assert caught.value.message.startswith(f"{caught.value.param}: ")
    return caught.value.param


def test_a_request_becomes_a_chat_request() -> None:
    """Ready for the gateway, with what the way back must know."""
    request = opened()
    assert json.loads(request.body) == {"model": "claude", "max_tokens": 9, "messages": HELLO}
    assert (request.model, request.stream, request.path) == ("claude", False, "/chat/completions")
    assert request.options == MessageOptions(model="claude")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Be brief.", "Be brief."),
        ([text("Be brief.", cache_control={"type": "ephemeral"})], "Be brief."),
        ([text("Be brief."), text("Be kind.")], "Be brief.\n\nBe kind."),
    ],
)
def test_the_system_prompt_is_the_first_message(system: Any, expected: str) -> None:
    """As one string, which every chat template takes."""
    assert turns(*HELLO, system=system) == [{"role": "system", "content": expected}, *HELLO]


@pytest.mark.parametrize("system", ["", [], None])
def test_no_system_prompt_is_no_message(system: Any) -> None:
    """An empty one is left out."""
    assert turns(*HELLO, system=system) == HELLO


def test_a_system_message_keeps_its_place() -> None:
    """The newer role is a chat's own."""
    later = {"role": "system", "content": [text("Now be kind.")]}
    assert turns(*HELLO, later) == [*HELLO, {"role": "system", "content": "Now be kind."}]


def test_text_and_images_keep_their_order() -> None:
    """One part per block; an image is an address or its own bytes."""
    web = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    assert turns(user(text("a"), PNG, text("b", cache_control=None), web)) == [
        user(text("a"), PNG_PART, text("b"), {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}})
    ]


def test_a_lone_text_block_is_a_string() -> None:
    """It means the same, and templates that take strings only understand it."""
    assert turns(user(text("hello"))) == HELLO


def test_a_tool_call_and_its_result_keep_their_id() -> None:
    """The call with its text, the result right behind it, then what the user said."""
    call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}
    assert turns(
        *HELLO, {"role": "assistant", "content": [text("Let me "), text("look."), call]}, user(result(), text("Well?"))
    ) == [
        *HELLO,
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "user", "content": "Well?"},
    ]


def test_a_call_without_text_has_no_content() -> None:
    """As OpenAI itself writes it."""
    call = {"type": "tool_use", "id": "a", "name": "b", "input": {}}
    (message,) = turns({"role": "assistant", "content": [call]})
    assert message["content"] is None and message["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("number", ["1.0", "1E+400", "12345678901234567890123", "0.1000000000000000055"])
def test_json_that_only_the_model_reads_keeps_its_bytes(number: str) -> None:
    """The input of an earlier call and the schema of a tool: order, spacing and numbers."""
    input_ = f'{{"b" :{number}, "a":"\\u00e9"}}'
    schema = f'{{"type" :"object","maximum":{number}}}'
    body = (
        '{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"n","input":'
        + input_ + '}]}],"tools":[{"name":"n","input_schema":' + schema + "}]}"
    )  # fmt: skip
    translated = open_messages(body.encode())
    assert schema in translated.body.decode()
    function = json.loads(bytes(translated.messages[0]))["tool_calls"][0]["function"]
    assert function["arguments"] == input_


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (result("sunny"), "sunny"),
        (result([text("sunny"), text("warm")]), "sunny\nwarm"),
        (result([]), ""),
        (result(None), ""),
        ({"type": "tool_result", "tool_use_id": "call_1"}, ""),
        (result("no such city", is_error=True), "Error: no such city"),
        (result(None, is_error=True), "Error"),
        (result("fine", is_error=False), "fine"),
    ],
)
def test_a_tool_result_is_one_text(block: dict[str, Any], content: str) -> None:
    """A chat has no mark for errors, so the text says it."""
    assert turns(user(block)) == [{"role": "tool", "tool_call_id": "call_1", "content": content}]


def test_results_come_before_what_the_user_says() -> None:
    """A chat wants all of them right behind the calls, wherever they stood."""
    assert turns(user(text("Well?"), result("a", "1"), result("b", "2"))) == [
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": "b"},
        {"role": "user", "content": "Well?"},
    ]


def test_images_of_a_result_follow_as_the_users() -> None:
    """A tool message is text only; the model is told which result they belong to."""
    assert turns(user(result([text("a map"), PNG], "1"), result("b", "2"), text("Well?"))) == [
        {"role": "tool", "tool_call_id": "1", "content": "a map"},
        {"role": "tool", "tool_call_id": "2", "content": "b"},
        user(text("Images in the result of 1:"), PNG_PART, text("Well?")),
    ]


def test_earlier_thinking_is_dropped() -> None:
    """Only the model that thought it could use it."""
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
    ]
    assert turns({"role": "assistant", "content": [*thoughts, text("Yes.")]}) == [
        {"role": "assistant", "content": "Yes."}
    ]
    assert turns({"role": "assistant", "content": thoughts}) == [{"role": "assistant", "content": ""}]


def test_tools_are_functions() -> None:
    """Their schema is the parameters; marks of Anthropic's own machinery are dropped."""
    marks = {"cache_control": {"type": "ephemeral"}, "defer_loading": False, "type": "custom"}
    assert chat(tools=[{**TOOL, **marks}, {"name": "stop", "input_schema": {}, "strict": True}]) == {
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA},
            },
            {"type": "function", "function": {"name": "stop", "parameters": {}, "strict": True}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_the_choice_of_tools(choice: dict[str, Any], expected: Any) -> None:
    """Each of the four has its word."""
    translated = chat(tools=[TOOL], tool_choice=choice)
    assert translated["tool_choice"] == expected and "parallel_tool_calls" not in translated


@pytest.mark.parametrize(("disable", "parallel"), [(True, False), (False, None)])
def test_parallel_calls_can_be_forbidden(disable: bool, parallel: bool | None) -> None:
    """Allowed is the default on both sides."""
    choice = {"type": "auto", "disable_parallel_tool_use": disable}
    assert chat(tools=[TOOL], tool_choice=choice).get("parallel_tool_calls") is parallel


@pytest.mark.parametrize("choice", [None, {"type": "auto"}, {"type": "none"}])
def test_no_tools_are_no_field(choice: Any) -> None:
    """OpenAI refuses an empty list, and a choice without tools."""
    assert chat(tools=[], tool_choice=choice) == {}


def test_options_have_their_counterparts() -> None:
    """Sampling as it is, stop sequences as ``stop``."""
    assert chat(temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["END"], tool_choice=None) == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
    }
    assert opened(stop_sequences=["END"]).options.stops == ("END",)
    assert chat(stop_sequences=[]) == {}


def test_a_stream_asks_for_its_usage() -> None:
    """A message must count its tokens, and only the upstream can."""
    request = opened(stream=True)
    assert request.stream and request.include_usage
    assert chat(stream=True) == {"stream": True, "stream_options": {"include_usage": True}}
    assert chat(stream=False) == {"stream": False}


def test_the_user_is_named_and_the_rest_of_the_metadata_kept() -> None:
    """A task may be named there."""
    assert chat(metadata={"user_id": "u1", "task": "arithmetic"}) == {"user": "u1", "metadata": {"task": "arithmetic"}}
    assert chat(metadata={"user_id": None}) == chat(metadata={}) == {}


@given(st.text(min_size=MAX_USER + 1))
def test_a_long_user_id_stays_one_users(user_id: str) -> None:
    """OpenAI takes 64 characters, coding agents send 200: the same id always becomes the same short one."""
    assert chat(metadata={"user_id": user_id}) == {"user": hashlib.sha256(user_id.encode()).hexdigest()}


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [
        (None, False),
        ({"type": "disabled"}, False),
        ({"type": "enabled", "budget_tokens": 2048}, True),
        ({"type": "adaptive"}, True),
        ({"type": "adaptive", "display": "summarized"}, True),
        ({"type": "adaptive", "display": "omitted"}, False),
    ],
)
def test_thinking_decides_what_is_shown(thinking: Any, shown: bool) -> None:
    """A budget in tokens has no counterpart, and a model that reasons does so unasked: nothing is sent."""
    assert opened(thinking=thinking).options.thinking is shown
    assert chat(thinking=thinking) == {}


def test_effort_and_format_have_their_counterparts() -> None:
    """Anthropic's levels are OpenAI's words; its structured outputs are strict."""
    config = {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}
    assert chat(output_config=config) == {
        "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
        },
    }


@pytest.mark.parametrize("name", [name for name, fate in FIELDS.items() if fate == "ignored"])
def test_what_is_ignored_does_not_arrive(name: str) -> None:
    """It concerns Anthropic's own machinery, or would spoil the reply."""
    assert chat(**{name: {"type": "ephemeral"}}) == {}


@pytest.mark.parametrize("name", [name for name, fate in FIELDS.items() if fate == "refused"])
def test_what_is_refused_is_named(name: str) -> None:
    """Unless it is empty, as some clients send it."""
    assert refused(**{name: [{"type": "url"}]}) == name
    assert chat(**{name: None}) == chat(**{name: []}) == {}


def test_a_thread_is_refused_in_the_way_that_clients_understand() -> None:
    """The official one asks for a thread of its own accord, and goes on without when it reads this code."""
    with pytest.raises(BadRequest) as caught:
        opened(thread={"type": "create"})
    assert caught.value.code == "thread_unsupported_request"


def test_a_parameter_that_nobody_knows_is_passed() -> None:
    """An upstream has its own, and APIs grow; what is null is left out."""
    assert chat(seed=7, min_p=0.1, temperature=None) == {"seed": 7, "min_p": 0.1}


def test_every_parameter_of_the_official_client_has_its_fate() -> None:
    """A new version of the client may bring a new one: decide what becomes of it."""
    known = {
        *message_create_params.MessageCreateParamsBase.__annotations__,
        *beta_create_params.MessageCreateParamsBase.__annotations__,
    }
    assert known - HEADERS <= set(FIELDS)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [3]}, "messages.0"),
        ({"messages": [{"content": "hello"}]}, "messages.0"),
        ({"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "messages.1.role"),
        ({"messages": [user(text("a"), {"type": "document", "source": {}})]}, "messages.0.content.1.source"),
        ({"messages": [user({"type": "search_result"})]}, "messages.0.content.0"),
        ({"messages": [user({"type": "text"})]}, "messages.0.content.0"),
        ({"messages": [user(text("a"), {"text": "b"})]}, "messages.0.content.1"),
        ({"messages": [user(result([{"type": "sparkle"}]))]}, "messages.0.content.0.content.0.type"),
        ({"messages": [{"role": "assistant", "content": [{"type": "sparkle"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "assistant", "content": [PNG]}]}, "messages.0.content.0.type"),
        (
            {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
            "messages.0.content.0.source.type",
        ),
        ({"system": [PNG]}, "system.0.type"),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"metadata": "me"}, "metadata"),
        ({"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]}, "tools.1.type"),
        ({"tools": [{"name": "weather"}]}, "tools.0"),
        ({"tools": [{"input_schema": {}}]}, "tools.0"),
        ({"tools": [TOOL], "tool_choice": {"type": "all"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format.type"),
    ],
)
def test_a_refusal_says_where(fields: dict[str, Any], place: str) -> None:
    """In the way that Anthropic names places."""
    assert refused(**fields) == place


def test_a_model_is_needed() -> None:
    """As is a body that is JSON."""
    for body in (b'{"messages":[{"role":"user","content":"x"}]}', b"", b"[]", b'{"model":"\xff"}'):
        with pytest.raises(BadRequest):
            open_messages(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "seed"]), JSON), st.booleans())
def test_any_request_is_translated_or_refused(fields: dict[str, Any], valid: bool) -> None:
    """However odd, never a crash."""
    body = {**fields, "model": "m", "messages": HELLO} if valid else fields
    try:
        open_messages(json.dumps(body).encode())
    except BadRequest:
        return


@given(st.binary())
def test_any_bytes_are_refused_in_words(body: bytes) -> None:
    """They are hardly ever a request."""
    with pytest.raises(BadRequest):
        open_messages(body)


@pytest.mark.parametrize("depth", [10, 100_000])
def test_deep_nesting_is_survived(depth: int) -> None:
    """In what is passed and in what is read."""
    deep = "[" * depth + "]" * depth
    for field in ("seed", "metadata", "messages", "system"):
        body = f'{{"model":"m","messages":[{{"role":"user","content":"x"}}],"{field}":{deep}}}'
        try:
            open_messages(body.encode())
        except BadRequest:
            continue


def test_a_tools_long_name_is_the_same_everywhere() -> None:
    """Declared, chosen, and given back in the reply."""
    name = "mcp__" + "x" * 90
    body = chat(tools=[{**TOOL, "name": name}], tool_choice={"type": "tool", "name": name})
    short = body["tools"][0]["function"]["name"]
    assert len(short) == 64 and body["tool_choice"]["function"]["name"] == short
    assert opened(tools=[{**TOOL, "name": name}]).options.names == {short: name}
    assert opened(tools=[TOOL]).options.names == {}
