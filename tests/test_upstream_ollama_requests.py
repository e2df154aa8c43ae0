"""OpenAI's requests as Ollama takes them, field by field, against the table that the documentation is made from."""

import json
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import EmbeddingCreateParams
from openai.types import completion_create_params as text_params
from openai.types.chat import completion_create_params as chat_params

from gateway.errors import BadRequest
from gateway.settings import OllamaSettings
from gateway.upstream.base import Call
from gateway.upstream.ollama_requests import (
    FIELDS,
    Asked,
    chat_request,
    completion_request,
    embedding_request,
)

TRANSLATE = {
    "/chat/completions": chat_request,
    "/completions": completion_request,
    "/embeddings": embedding_request,
}
NEEDED: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/completions": {"prompt": "hi"},
    "/embeddings": {"input": "hi"},
}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
MUL = {"type": "function", "function": {"name": "mul", "parameters": {"anyOf": [{"type": "null"}]}}}
EXAMPLES: dict[str, Any] = {
    # a value of each field that asks for something
    "messages": [{"role": "user", "content": "another"}], "prompt": "another", "input": ["a", "b"],
    "temperature": 0.25, "top_p": 0.5, "presence_penalty": 0.1, "frequency_penalty": 0.2, "seed": 7, "max_tokens": 9,
    "max_completion_tokens": 8, "top_k": 3, "min_p": 0.1, "typical_p": 0.9, "repeat_penalty": 1.1, "repeat_last_n": 9,
    "num_ctx": 512, "stop": ["\n"], "options": {"mirostat": 1}, "keep_alive": "10m", "think": True,
    "stream_options": {"include_usage": True}, "tools": [ADD, MUL], "tool_choice": "none",
    "response_format": {"type": "json_object"}, "reasoning_effort": "low", "reasoning": {"effort": "low"},
    "logprobs": True, "top_logprobs": 2, "suffix": "end", "raw": True, "dimensions": 4, "encoding_format": "base64",
    "truncate": False, "n": 2, "best_of": 2, "echo": True, "logit_bias": {"50256": -100}, "audio": {"voice": "alloy"},
    "functions": [{"name": "f"}], "function_call": {"name": "f"}, "web_search_options": {},
    "metadata": {"a": "b"}, "modalities": ["text"], "moderation": {}, "parallel_tool_calls": False, "prediction": {},
    "prompt_cache_key": "k", "prompt_cache_options": {}, "prompt_cache_retention": "24h", "safety_identifier": "s",
    "service_tier": "auto", "store": True, "user": "u", "verbosity": "low",
}  # fmt: skip
ALSO: dict[str, dict[str, Any]] = {"tool_choice": {"tools": [ADD, MUL]}}
"""What a field needs beside it to mean something."""
EVERY_FIELD = pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, fields in FIELDS.items() for name in fields if name not in ("model", "stream")],
)


def asked(path: str = "/chat/completions", settings: OllamaSettings | None = None, **fields: Any) -> Asked:
    body = {"model": "gpt-4o", **NEEDED[path], **fields}
    call = Call(model="qwen", path=path, body=json.dumps(body).encode(), stream=bool(fields.get("stream")))
    return TRANSLATE[path](call, settings or OllamaSettings())


def native(path: str = "/chat/completions", settings: OllamaSettings | None = None, **fields: Any) -> dict[str, Any]:
    """What reaches Ollama, decoded."""
    made: dict[str, Any] = msgspec.json.decode(asked(path, settings, **fields).body)
    return made


@EVERY_FIELD
def test_each_field_meets_the_fate_that_the_table_says(path: str, name: str) -> None:
    """Passed, translated, refused or ignored: the documentation cannot be wrong."""
    value, also = EXAMPLES[name], ALSO.get(name, {})
    match FIELDS[path][name]:
        case "passed":
            assert native(path, **{name: value})[name] == value
        case "translated":
            assert asked(path, **also, **{name: value}) != asked(path, **also)
        case "ignored":
            assert asked(path, **{name: value}) == asked(path)
        case "refused":
            with pytest.raises(BadRequest) as caught:
                asked(path, **{name: value})
            assert caught.value.param == name


@EVERY_FIELD
def test_null_is_as_good_as_absent(path: str, name: str) -> None:
    """SDKs send null for what was not set."""
    if name not in NEEDED[path]:
        assert asked(path, **{name: None}) == asked(path)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/chat/completions", chat_params.CompletionCreateParamsBase),
        ("/completions", text_params.CompletionCreateParamsBase),
        ("/embeddings", EmbeddingCreateParams),
    ],
)
def test_the_table_knows_every_field_of_the_official_client(path: str, parameters: type) -> None:
    """A new field gets its fate on purpose."""
    assert set(typing.get_type_hints(parameters)) <= set(FIELDS[path])


@pytest.mark.parametrize("path", FIELDS)
def test_a_plain_request_says_no_more_than_it_must(path: str) -> None:
    """The upstream's own name of the model, the question; what is unset stays the model's own default."""
    own = {"/chat/completions": {"stream": False}, "/completions": {"stream": False, "raw": True}, "/embeddings": {}}
    assert native(path) == {"model": "qwen", **NEEDED[path], **own[path]}
    assert asked(path).path == {"/chat/completions": "/api/chat", "/completions": "/api/generate"}.get(
        path, "/api/embed"
    )


def test_a_stream_is_asked_for_as_the_call_says() -> None:
    """With its usage where the client wants it."""
    made = asked(stream=True, stream_options={"include_usage": True})
    assert (made.stream, made.include_usage, msgspec.json.decode(made.body)["stream"]) == (True, True, True)
    assert not asked(stream=True).include_usage


@pytest.mark.parametrize("path", FIELDS)
def test_fields_that_nobody_knows_are_ignored(path: str) -> None:
    """Whatever OpenAI adds next does not break a client."""
    assert asked(path, novelty={"a": [1]}) == asked(path)


@pytest.mark.parametrize(
    ("name", "value"), [("n", 1), ("logit_bias", {}), ("functions", []), ("function_call", "none")]
)
def test_what_asks_for_nothing_is_not_refused(name: str, value: Any) -> None:
    """Clients send defaults too."""
    assert asked(**{name: value}) == asked()


def test_options_of_the_request_win_over_those_of_the_upstream() -> None:
    """First the upstream's settings, then OpenAI's fields, then the request's own ``options``."""
    settings = OllamaSettings(options={"num_ctx": 8192, "temperature": 0.1, "top_k": 1})
    made = native(settings=settings, temperature=0.5, max_tokens=7, stop="END", options={"top_k": 2, "seed": 3})
    assert made["options"] == {
        "num_ctx": 8192, "temperature": 0.5, "num_predict": 7, "stop": ["END"], "top_k": 2, "seed": 3,
    }  # fmt: skip


def test_numbers_keep_their_digits() -> None:
    """A value is checked and then handed on as it was written."""
    body = b'{"messages":[],"temperature":0.10,"seed":42}'
    made = chat_request(Call(model="qwen", body=body), OllamaSettings())
    assert b'"temperature":0.10,"seed":42' in made.body


def test_keep_alive_and_thinking_come_from_the_upstream_too() -> None:
    """A request's own value wins."""
    settings = OllamaSettings(keep_alive="5m", think=False)
    made = native(settings=settings)
    assert (made["keep_alive"], made["think"]) == ("5m", False)
    made = native(settings=settings, keep_alive=-1, think="high")
    assert (made["keep_alive"], made["think"]) == (-1, "high")


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "high")],
)
def test_reasoning_effort_is_how_much_the_model_thinks(effort: str, think: Any) -> None:
    """In the field of OpenAI's chat, or of its responses."""
    assert native(reasoning_effort=effort)["think"] == native(reasoning={"effort": effort})["think"] == think


def test_a_response_format_becomes_a_format() -> None:
    """A schema keeps its bytes' meaning and order; without one it is any JSON."""
    schema = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"anyOf": [{"type": "null"}]}}}
    told = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    assert native(response_format=told)["format"] == schema
    assert native(response_format={"type": "json_schema", "json_schema": {"name": "x"}})["format"] == "json"
    assert "format" not in native(response_format={"type": "text"})


def test_tools_arrive_as_they_were_sent() -> None:
    """Whatever a schema holds: nested parts are not dropped."""
    tool = json.dumps(MUL, indent=1).encode()
    body = b'{"messages":[],"tools":[' + tool + b"]}"
    assert tool in chat_request(Call(model="qwen", body=body), OllamaSettings()).body


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ("auto", [ADD, MUL]),
        ("required", [ADD, MUL]),
        ("none", None),
        ({"type": "function", "function": {"name": "mul"}}, [MUL]),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [ADD]}}, [ADD]),
    ],
)
def test_tool_choice_leaves_the_tools_that_may_be_called(choice: Any, left: Any) -> None:
    """Ollama cannot be told that one must be called."""
    assert native(tools=[ADD, MUL], tool_choice=choice).get("tools") == left


def test_a_tool_that_is_no_function_is_refused() -> None:
    """Ollama knows no other."""
    with pytest.raises(BadRequest, match=r"tools\[1\]") as caught:
        native(tools=[ADD, {"type": "custom", "custom": {"name": "shell"}}])
    assert caught.value.param == "tools"


def test_a_prompt_is_continued_as_it_stands_unless_something_is_filled_in() -> None:
    """The template is needed for a suffix only; a request may say otherwise."""
    assert native("/completions")["raw"] is True
    assert native("/completions", suffix="")["raw"] is True
    assert (native("/completions", suffix="end")["raw"], native("/completions", raw=False)["raw"]) == (False, False)
    assert native("/completions", prompt=["only"])["prompt"] == "only"


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/chat/completions", "temperature", "hot"),
        ("/chat/completions", "max_tokens", 1.5),
        ("/chat/completions", "stop", 3),
        ("/chat/completions", "options", []),
        ("/chat/completions", "tools", {}),
        ("/chat/completions", "tool_choice", 3),
        ("/chat/completions", "response_format", {"type": "xml"}),
        ("/chat/completions", "response_format", {"type": "json_schema", "json_schema": {"schema": 7}}),
        ("/chat/completions", "reasoning_effort", 3),
        ("/chat/completions", "logprobs", "yes"),
        ("/chat/completions", "stream_options", "yes"),
        ("/completions", "prompt", [1, 2, 3]),
        ("/completions", "prompt", ["one", "two"]),
        ("/completions", "suffix", 3),
        ("/embeddings", "input", [1, 2, 3]),
        ("/embeddings", "dimensions", 0),
        ("/embeddings", "encoding_format", "int8"),
    ],
)
def test_a_wrong_value_is_a_bad_request_that_names_it(path: str, name: str, value: Any) -> None:
    """Ollama would answer some of them with a 500, which would be tried again."""
    with pytest.raises(BadRequest) as caught:
        asked(path, **{name: value})
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("path", "name"), [("/chat/completions", "messages"), ("/completions", "prompt"), ("/embeddings", "input")]
)
def test_the_question_must_be_there(path: str, name: str) -> None:
    """Ollama would load the model and answer nothing."""
    with pytest.raises(BadRequest, match="Missing required parameter") as caught:
        TRANSLATE[path](Call(model="qwen", path=path, body=b"{}"), OllamaSettings())
    assert caught.value.param == name


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "function", "name", "url", "text"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("path", FIELDS)
@given(data=st.data())
def test_no_request_fails_in_any_other_way(path: str, data: st.DataObject) -> None:
    """Whatever stands in the fields: a request to Ollama, or a bad request."""
    fields = data.draw(st.dictionaries(st.sampled_from(sorted(FIELDS[path])), ANYTHING, max_size=6))
    try:
        made = TRANSLATE[path](Call(model="qwen", path=path, body=json.dumps(fields).encode()), OllamaSettings())
    except BadRequest:
        return
    assert msgspec.json.decode(made.body)["model"] == "qwen"
