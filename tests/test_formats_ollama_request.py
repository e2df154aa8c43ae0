"""Requests of Ollama's own API: each field reaches the chat in its own form, or is refused in words."""

import json
from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.formats.ollama_request import loading, open_embed, open_generate, open_native_chat
from gateway.formats.plain import TextRequest
from gateway.settings import OllamaSettings
from gateway.upstream.base import Call
from gateway.upstream.ollama_requests import chat_request, completion_request

ASK = {"role": "user", "content": "2 + 2?"}
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}}


def named(name: str) -> str:
    return name.removesuffix(":latest")


def chat(**fields: Any) -> dict[str, Any]:
    """The chat that a request of ``/api/chat`` becomes."""
    body = json.dumps({"model": "small", "messages": [ASK], "stream": False, **fields}).encode()
    made: dict[str, Any] = json.loads(open_native_chat(body, named).body)
    return made


def generated(**fields: Any) -> Any:
    return open_generate(json.dumps({"model": "small", "prompt": "2 + 2?", **fields}).encode(), named)


def test_a_request_without_a_word_about_it_wants_a_stream() -> None:
    """With the counts at its end."""
    body = json.dumps({"model": "small:latest", "messages": [ASK]}).encode()
    request = open_native_chat(body, named)
    assert request.stream and request.include_usage
    assert (request.model, request.shape.model) == ("small", "small:latest")
    assert not open_native_chat(body[:-1] + b',"stream":false}', named).stream


def test_options_get_their_names_in_a_chat_and_others_stay_together() -> None:
    """Numbers keep their bytes; a limit below zero is none."""
    options = {
        "temperature": 0, "top_p": 0.5, "seed": 7, "stop": ["END"], "num_predict": 9, "top_k": 3, "num_ctx": 4096,
        "mirostat": None,
    }  # fmt: skip
    assert chat(options=options) == {
        "model": "small", "stream": False, "messages": [ASK], "temperature": 0, "top_p": 0.5, "seed": 7,
        "stop": ["END"], "max_tokens": 9, "top_k": 3, "options": {"num_ctx": 4096},
    }  # fmt: skip
    assert "max_tokens" not in chat(options={"num_predict": -1})


def test_every_option_comes_back_at_an_ollama_upstream() -> None:
    """As the client wrote it, under whatever name it crossed the gateway."""
    options = {"temperature": 0.5, "num_predict": 9, "num_ctx": 64, "mirostat": 2, "min_p": 0.1, "stop": ["a"]}
    given = chat(options=options, keep_alive="5m", think=True, format=SCHEMA)
    call = Call(model="qwen", body=json.dumps(given).encode())
    sent = json.loads(chat_request(call, OllamaSettings()).body)
    assert sent["options"] == options
    assert (sent["keep_alive"], sent["think"], sent["format"]) == ("5m", True, SCHEMA)


@pytest.mark.parametrize(
    ("given", "response_format"),
    [
        ("json", {"type": "json_object"}),
        (SCHEMA, {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}),
        ("", None),
        (None, None),
    ],
)
def test_a_format_becomes_a_response_format(given: Any, response_format: Any) -> None:
    """The schema keeps its bytes."""
    assert chat(format=given).get("response_format") == response_format


@pytest.mark.parametrize(
    ("think", "fields"),
    [(True, {"think": True}), (False, {"think": False}), ("low", {"reasoning_effort": "low"}), (None, {})],
)
def test_thinking_is_switched_or_graded(think: Any, fields: dict[str, Any]) -> None:
    """A level is an effort to every upstream; the switch is Ollama's own."""
    made = chat(think=think)
    assert {name: made[name] for name in ("think", "reasoning_effort") if name in made} == fields


def test_thoughts_are_shown_unless_they_are_switched_off() -> None:
    """As Ollama does for models that think."""
    assert generated().shape.thinking
    assert not generated(think=False).shape.thinking


def test_tools_names_and_measures_pass_and_the_unknown_is_left_out() -> None:
    """Ollama ignores fields that it does not know, and so does the gateway."""
    tools = [{"type": "function", "function": {"name": "add"}}]
    made = chat(tools=tools, logprobs=True, top_logprobs=2, metadata={"task": "t"}, user="u", invented=1)
    assert made["tools"] == tools and made["logprobs"] is True and made["top_logprobs"] == 2
    assert made["metadata"] == {"task": "t"} and made["user"] == "u" and "invented" not in made


def test_a_prompt_is_a_chat_of_two_messages() -> None:
    """So rules apply to it."""
    request = generated(system="Be brief.", images=["iVBORw0KGgo="], stream=False)
    system, user = json.loads(request.body)["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]
    assert request.shape.api == "generate"


def test_a_prompt_without_the_template_is_a_completion() -> None:
    """Raw, or with a suffix: nothing is put around it."""
    bare = generated(raw=True, options={"num_predict": 3})
    assert isinstance(bare, TextRequest)
    assert json.loads(bare.body) == {
        "model": "small", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 3,
        "prompt": "2 + 2?",
    }  # fmt: skip
    filled = generated(suffix="= 4", stream=False)
    assert json.loads(filled.body)["suffix"] == "= 4"
    sent = json.loads(completion_request(Call(model="q", body=filled.body), OllamaSettings()).body)
    assert (sent["suffix"], sent["raw"]) == ("= 4", False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"context": [1, 2]}, "context"),
        ({"raw": True, "images": ["AAAA"]}, "images"),
        ({"format": 7}, "format"),
        ({"options": []}, None),
        ({"options": [1]}, "options"),
        ({"stream": "yes"}, "stream"),
        ({"think": 3}, "think"),
        ({"model": ""}, "model"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_by_its_field(fields: dict[str, Any], param: str | None) -> None:
    """An empty value is no value."""
    if param is None:
        assert generated(**fields).model == "small"
        return
    with pytest.raises(BadRequest) as caught:
        generated(**fields)
    assert caught.value.param == param


def test_a_message_of_odd_shape_is_refused() -> None:
    """By the name of the field."""
    with pytest.raises(BadRequest, match="messages"):
        chat(messages=[{"content": "no role"}])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "load"),
        ({"messages": []}, "load"),
        ({"messages": [], "keep_alive": 0}, "unload"),
        ({"keep_alive": "0s"}, "unload"),
        ({"keep_alive": -1}, "load"),
        ({"messages": [ASK], "keep_alive": 0}, None),
    ],
)
def test_a_request_without_content_only_loads(fields: dict[str, Any], reason: str | None) -> None:
    """Clients send it ahead of the first question."""
    assert loading(json.dumps({"model": "small", **fields}).encode(), "messages") == reason


def test_texts_to_embed_pass_and_the_older_prompt_becomes_one() -> None:
    """Fields that are no business of embeddings are left out."""
    body = {"model": "small:latest", "input": ["a", "b"], "dimensions": 3, "truncate": True, "stream": False}
    assert json.loads(open_embed(json.dumps(body).encode(), named).body) == {
        "model": "small", "input": ["a", "b"], "dimensions": 3, "truncate": True,
    }  # fmt: skip
    old = open_embed(b'{"model":"small","prompt":"a"}', named, content="prompt")
    assert json.loads(old.body) == {"model": "small", "input": "a"}
