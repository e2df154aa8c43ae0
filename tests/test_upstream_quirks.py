"""Quirks: what a refusal shows, and how a body is adapted. The messages are those of real servers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.formats.upstream_error import ErrorWords, error_words
from gateway.settings import Quirks
from gateway.upstream.quirks import Adaptation, learnt_from, merged

SENT: dict[str, Any] = {
    "model": "m", "messages": [{"role": "user", "content": "temperature of the user store?"}], "max_tokens": 9,
    "temperature": 0, "user": "ann", "stream": True, "stream_options": {"include_usage": True}, "logprobs": True,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}, "tools": [], "stop": "4",
}  # fmt: skip


def learnt(message: str, *, known: Quirks = Quirks(), sent: dict[str, Any] = SENT, **more: Any) -> Quirks | None:  # noqa: B008 - frozen
    fields = {name: Raw(json.dumps(value).encode()) for name, value in sent.items()}
    return learnt_from(ErrorWords(message=message, **more), fields, known)


OPENAI_LIMIT = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)
OPENAI_TEMPERATURE = (
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."
)
TGI = (
    "Failed to deserialize the JSON body into the target type: unknown field `stream_options`, expected one of"
    " `messages`, `model`, `max_tokens`, `temperature`, `user` at line 1 column 70"
)


@pytest.mark.parametrize(
    ("message", "more", "quirks"),
    [
        (OPENAI_LIMIT, {"params": ("max_tokens",), "code": "unsupported_parameter"},
         Quirks(output_limit="max_completion_tokens")),
        (OPENAI_LIMIT, {}, Quirks(output_limit="max_completion_tokens")),
        (OPENAI_TEMPERATURE, {"params": ("temperature",), "code": "unsupported_value"},
         Quirks(without=("temperature",))),
        (OPENAI_TEMPERATURE, {}, Quirks(without=("temperature",))),
        (TGI, {}, Quirks(without=("stream_options",))),
        ("stream_options: Extra inputs are not permitted", {"params": ("stream_options.include_usage",)},
         Quirks(without=("stream_options",))),
        ("Unrecognized request argument supplied: stream_options", {}, Quirks(without=("stream_options",))),
        ("`temperature` is deprecated for this model.", {}, Quirks(without=("temperature",))),
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", {},
         Quirks(json_schema=False)),
        ("You are not allowed to request logprobs from this model", {}, Quirks(logprobs=False)),
        ("This model doesn't support 'user'", {}, Quirks(without=("user",))),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", {},
         Quirks(context=4096)),
        ("the request exceeds the available context size (2048 tokens), try increasing it", {}, Quirks(context=2048)),
    ],
)  # fmt: skip
def test_a_refusal_shows_a_quirk(message: str, more: dict[str, Any], quirks: Quirks) -> None:
    """By ``param`` where there is one, else by the message."""
    assert learnt(message, **more) == quirks


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ("max_tokens is too large: 100000. This model supports at most 4096 tokens", {"params": ("max_tokens",)}),
        ("Invalid value for 'temperature': must be at most 2.", {"params": ("temperature",)}),
        ("Unknown user or unsupported store of this model", {}),
        ("This model does not support tools", {"params": ("tools",)}),
        ("Unsupported value: 'stop' is not supported", {"params": ("stop",), "code": "unsupported_value"}),
        ("Unsupported value: 'reasoning_effort' does not support 'minimal'",
         {"params": ("reasoning_effort",), "code": "unsupported_value"}),
        ("'messages[1].name' is not supported, nor is temperature", {"params": ("messages[1].name",)}),
        ("Unknown model", {"params": ("model",), "code": "model_not_found"}),
        ("", {}),
    ],
)  # fmt: skip
def test_other_refusals_stay_the_callers(message: str, more: dict[str, Any]) -> None:
    """A wrong value, or a field with a meaning for the reply, is no quirk."""
    sent = {**SENT, "reasoning_effort": "minimal"}
    assert learnt(message, sent=sent, **more) is None


def test_fields_of_ollamas_own_are_left_out_where_they_are_refused() -> None:
    """Its clients send them; all at once, if the refusal names them all."""
    sent = {**SENT, "keep_alive": "5m", "options": {"num_ctx": 64}, "think": True}
    message = "Unrecognized request arguments supplied: keep_alive, options, think"
    assert learnt(message, sent=sent) == Quirks(without=("think", "keep_alive", "options"))


def test_both_limits_at_once_are_a_mistake_of_the_caller() -> None:
    """The message blames both of them, and the model takes either."""
    sent = {**SENT, "max_completion_tokens": 9}
    message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    assert learnt(message, sent=sent) is None


def test_a_model_that_takes_neither_limit_gets_none() -> None:
    """The second refusal is about the other name."""
    known = Quirks(output_limit="max_completion_tokens")
    sent = {"model": "m", "max_completion_tokens": 9}
    assert learnt("Unknown parameter: 'max_completion_tokens'", sent=sent, known=known) == Quirks(
        output_limit="max_completion_tokens", without=("max_tokens", "max_completion_tokens")
    )


def test_a_refusal_that_shows_nothing_new_teaches_nothing() -> None:
    """Else a request would be repeated for ever."""
    assert learnt(OPENAI_TEMPERATURE, known=Quirks(without=("temperature",))) is None


def test_the_configuration_comes_before_what_was_learnt() -> None:
    """Field by field; fields to leave out are joined."""
    stated = Quirks(output_limit="max_tokens", without=("seed",), logprobs=True)
    found = Quirks(output_limit="max_completion_tokens", without=("temperature", "seed"), logprobs=False, context=9)
    assert merged(stated, found) == Quirks(
        output_limit="max_tokens", without=("seed", "temperature"), logprobs=True, context=9
    )


def adapted(quirks: Quirks, fields: dict[str, Any], *optional: str) -> Any:
    return json.loads(Adaptation(quirks).apply(json.dumps(fields).encode(), optional))


def test_the_limit_is_renamed_and_a_refused_field_left_out() -> None:
    """The rest keeps its place."""
    quirks = Quirks(output_limit="max_completion_tokens", without=("temperature",))
    assert adapted(quirks, {"model": "m", "max_tokens": 3, "temperature": 0, "n": 1}) == {
        "model": "m", "n": 1, "max_completion_tokens": 3,
    }  # fmt: skip
    assert adapted(quirks, {"max_tokens": 3, "max_completion_tokens": 4}) == {"max_completion_tokens": 4}
    assert adapted(Quirks(output_limit="max_tokens"), {"max_completion_tokens": 4}) == {"max_tokens": 4}


def test_an_optional_field_is_left_out_where_the_model_is_known_to_refuse_it() -> None:
    """And the same field of a caller stays: the refusal is the caller's."""
    quirks = Quirks(json_schema=False, logprobs=False)
    fields = {"response_format": {}, "logprobs": True, "n": 1}
    assert adapted(quirks, fields, "response_format", "logprobs") == {"n": 1}
    assert adapted(quirks, fields) == fields
    assert adapted(Quirks(), fields, "response_format") == fields


@given(st.dictionaries(st.sampled_from(["model", "top_p", "n", "x"]), st.integers() | st.text()))
def test_a_body_without_any_such_field_keeps_its_bytes(fields: dict[str, Any]) -> None:
    """A prompt cache goes by bytes."""
    body = json.dumps(fields, indent=1).encode()
    assert Adaptation(Quirks(output_limit="max_tokens", without=("temperature",))).apply(body) is body


@given(st.binary(max_size=80), st.dictionaries(st.sampled_from(list(SENT)), st.integers()))
def test_no_error_of_an_upstream_raises(payload: bytes, sent: dict[str, Any]) -> None:
    """Whatever it says, a quirk or none comes of it."""
    words = error_words(payload)
    if words is not None:
        learnt_from(words, {name: Raw(b"1") for name in sent}, Quirks())


@pytest.mark.parametrize(
    "message",
    [
        "'messages.1': for 'role:assistant' the following must hold: 'reasoning_content' is unsupported",
        "messages.1.assistant.reasoning_content: Extra inputs are not permitted",
    ],
)
def test_a_models_own_reasoning_is_left_out_where_it_is_refused(message: str) -> None:
    """Out of every message; the others keep their bytes."""
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "reasoning_content": "hm"},
    ]  # fmt: skip
    sent = {"model": "m", "messages": history}
    shown = learnt(message, sent=sent)
    assert shown == Quirks(without=("reasoning_content",))
    adapted = json.loads(Adaptation(shown).apply(json.dumps(sent).encode()))
    assert adapted["messages"] == [history[0], {"role": "assistant", "content": None}]
    assert learnt(message) is None
    assert learnt("Missing `reasoning_content` field in the assistant message at message index 1", sent=sent) is None
