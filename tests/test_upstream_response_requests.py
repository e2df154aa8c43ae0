"""Requests of ``/responses`` as chats: each field in its place, or refused in words."""

import json
from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.upstream.response_requests import chat_of

ADD = {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}, "strict": True}
ADD_NESTED = {
    "type": "function",
    "function": {name: ADD[name] for name in ("name", "description", "parameters", "strict")},
}
PATCH = {"type": "custom", "name": "patch", "description": "Patches.",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: a"}}  # fmt: skip
SEARCH = {"type": "web_search"}


def chat(*, stream: bool = False, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"model": "m", "input": "2 + 2?", **fields}).encode()
    made: dict[str, Any] = json.loads(chat_of(body, stream=stream).body)
    return made


def test_each_field_has_its_place() -> None:
    """Fields that nobody knows pass; what is OpenAI's own business is left out."""
    made = chat(
        instructions="Be brief.", max_output_tokens=9, temperature=0.0, top_p=0.5, reasoning={"effort": "low"},
        user="u",
        text={"verbosity": "low", "format": {"type": "text"}}, store=True, metadata={"a": "b"}, truncation="auto",
        from_tomorrow=[1], parallel_tool_calls=True,
    )  # fmt: skip
    assert made == {
        "model": "m", "temperature": 0.0, "top_p": 0.5, "user": "u", "from_tomorrow": [1], "max_tokens": 9,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}],
        "verbosity": "low", "reasoning_effort": "low",
    }  # fmt: skip


def test_a_stream_asks_for_its_usage() -> None:
    """It is told with the last event."""
    made = chat(stream=True)
    assert made["stream"] is True and made["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "name": "add"}, {"type": "function", "function": {"name": "add"}}),
        (None, None),
    ],
)
def test_functions_and_the_choice_among_them(choice: Any, made: Any) -> None:
    """Flat there, nested in a chat."""
    given = chat(tools=[ADD], tool_choice=choice, parallel_tool_calls=False)
    assert (given["tools"], given.get("tool_choice"), given["parallel_tool_calls"]) == ([ADD_NESTED], made, False)


def test_a_choice_may_narrow_the_tools() -> None:
    """Only those are offered."""
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]}
    given = chat(tools=[ADD, {**ADD, "name": "sub"}], tool_choice=choice)
    assert (given["tools"], given["tool_choice"]) == ([ADD_NESTED], "required")


def test_a_custom_tool_becomes_a_function_of_a_text() -> None:
    """Its grammar is told in words, because a chat cannot enforce it."""
    body = json.dumps({"model": "m", "input": "x", "tools": [PATCH]}).encode()
    request = chat_of(body, stream=False)
    (tool,) = json.loads(request.body)["tools"]
    assert request.custom == {"patch"}
    assert tool["function"]["parameters"]["required"] == ["input"]
    assert "start: a" in tool["function"]["description"]


def test_a_tool_that_the_server_runs_is_left_out_beside_functions() -> None:
    """The reply's tools show it."""
    body = json.dumps({"model": "m", "input": "x", "tools": [SEARCH, ADD]}).encode()
    request = chat_of(body, stream=False)
    assert [tool["name"] for tool in request.tools] == ["add"]
    assert json.loads(request.body)["tools"] == [ADD_NESTED]


@pytest.mark.parametrize(
    ("format_", "made"),
    [
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True},
         {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}}),
        ({"type": "text"}, None),
    ],
)  # fmt: skip
def test_a_format_becomes_a_response_format(format_: Any, made: Any) -> None:
    """With its name and its strictness."""
    assert chat(text={"format": format_}).get("response_format") == made


@pytest.mark.parametrize("fields", [{"include": ["message.output_text.logprobs"]}, {"top_logprobs": 2}])
def test_log_probabilities_are_asked_for(fields: dict[str, Any]) -> None:
    """Whichever way they were."""
    assert chat(**fields)["logprobs"] is True


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "conversation_not_found"),
        ({"background": True}, "background", None),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", None),
        ({"tools": [SEARCH]}, "tools", None),
        ({"tools": [ADD], "tool_choice": {"type": "web_search"}}, "tool_choice", None),
    ],
)
def test_what_needs_a_store_or_a_hosted_tool_is_refused(fields: dict[str, Any], param: str, code: str | None) -> None:
    """With OpenAI's own code where clients look for it."""
    with pytest.raises(BadRequest) as caught:
        chat(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("fields", [{"previous_response_id": None}, {"background": False}, {"store": False}])
def test_a_field_that_asks_for_nothing_is_no_obstacle(fields: dict[str, Any]) -> None:
    """Clients send such fields by default."""
    assert chat(**fields)["messages"]


def test_the_tools_of_a_namespace_become_functions_with_its_name_in_front() -> None:
    """Codex puts the tools of its servers and sub-agents there; a call in the history has the same name."""
    inner = {"type": "function", "name": "spawn", "parameters": {"type": "object"}}
    space = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [inner]}
    call = {"type": "function_call", "namespace": "agents", "name": "spawn", "arguments": "{}", "call_id": "c"}
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": "hi"}, call], "tools": [space, SEARCH]})
    made = chat_of(body.encode(), stream=False)
    chat = json.loads(made.body)
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["agents__spawn"]
    assert chat["messages"][1]["tool_calls"][0]["function"]["name"] == "agents__spawn"
    assert made.named("agents__spawn") == {"name": "spawn", "namespace": "agents"}
    assert made.named("other") == {"name": "other"} and made.tools == [space]


def test_a_clients_own_notes_do_not_reach_a_chat() -> None:
    """Strict servers refuse an unknown field."""
    body = json.dumps({"model": "m", "input": "hi", "client_metadata": {"turn_id": "1"}}).encode()
    assert "client_metadata" not in json.loads(chat_of(body, stream=False).body)
