"""The words of an upstream's error, in every shape that servers send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.upstream_error import ErrorWords, error_words

WORDS = "This model's maximum context length is 8192 tokens."


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": WORDS, "type": "invalid_request_error", "param": None, "code": None}},
        {"error": WORDS},
        {"object": "error", "message": WORDS, "type": "BadRequestError", "param": None, "code": 400},
        {"message": WORDS},
        {"detail": WORDS},
        {"detail": {"error": {"message": WORDS}}},
        [{"error": {"code": 400, "message": WORDS, "status": "INVALID_ARGUMENT"}}],
        {"errors": [{"message": WORDS}]},
        {"error": {"message": "", "details": {"reason": WORDS}}},
    ],
    ids=str,
)
def test_the_words_are_found_in_every_shape(body: Any) -> None:
    """OpenAI's, vLLM's, FastAPI's, Google's, and those of proxies."""
    words = error_words(json.dumps(body).encode())
    assert words is not None and words.message == WORDS


def test_what_openai_says_beside_the_words_is_kept() -> None:
    """The blamed field and the code are for programs."""
    body = {"error": {"message": "No.", "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported"}}
    assert error_words(json.dumps(body).encode()) == ErrorWords(
        message="No.", type="invalid_request_error", params=("max_tokens",), code="unsupported"
    )


def test_a_list_of_mistakes_names_each_field() -> None:
    """FastAPI's answer to an unknown field, as its servers send it."""
    mistakes = [
        {"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"], "msg": "Extra inputs"},
        {"type": "extra_forbidden", "loc": ["body", "store"], "msg": "Extra inputs", "input": True},
    ]
    assert error_words(json.dumps({"detail": mistakes}).encode()) == ErrorWords(
        message="stream_options.include_usage: Extra inputs; store: Extra inputs",
        params=("stream_options.include_usage", "store"),
        code="extra_forbidden",
    )


@pytest.mark.parametrize("payload", [b"unknown field `stream_options`\n", "Zu viele Tokens: höchstens 8192".encode()])
def test_plain_text_is_its_own_words(payload: bytes) -> None:
    """On a line."""
    words = error_words(payload)
    assert words is not None and words.message == payload.decode().strip()


@pytest.mark.parametrize(
    "payload",
    [b"", b"  ", b"<html><body>502 Bad Gateway</body></html>", b"\x1f\x8b\x08\x00\x01", b"{}", b"[]", b"null", b"3",
     b'{"error":{}}', b'{"error":null}', b'{"error":{"message":3}}', b'""', b'{"message":" "}'],
)  # fmt: skip
def test_what_has_no_words_has_none(payload: bytes) -> None:
    """Markup, binary and empty objects say nothing to a person."""
    assert error_words(payload) is None


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens.",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "the request exceeds the available context size. try increasing the context size",
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        "Input is too long for requested model.",
        "Please reduce the length of the messages or completion.",
        "too many tokens: total number of tokens cannot exceed 4081",
    ],
)
def test_a_full_context_is_told_in_many_words(said: str) -> None:
    """Of OpenAI, Anthropic, llama.cpp, Google, xAI, Bedrock, Groq and Cohere."""
    words = error_words(json.dumps({"error": {"message": said}}).encode())
    assert words is not None and words.overflows


@pytest.mark.parametrize("said", ["max_tokens is too large", "Your messages are too many.", "context is required"])
def test_other_complaints_are_no_full_context(said: str) -> None:
    """A client that compacts on them would lose its history for nothing."""
    words = error_words(said.encode())
    assert words is not None and not words.overflows


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"title": "Bad Request", "status": 400}, "Bad Request"),
        ({"title": "Bad Request", "detail": "no such model"}, "no such model"),
        ({"fault": {"faultstring": "Quota exceeded"}}, "Quota exceeded"),
        ({"Message": "User is not authorised"}, "User is not authorised"),
        ({"error_description": "expired"}, "expired"),
    ],
)
def test_proxies_and_clouds_have_words_too(payload: object, message: str) -> None:
    """Problem details, Apigee, AWS, OAuth."""
    words = error_words(json.dumps(payload).encode())
    assert words is not None and words.message == message


def test_a_long_message_is_cut() -> None:
    """An error is no way to hand on a megabyte."""
    words = error_words(json.dumps({"error": "x" * 10**6}).encode())
    assert words is not None and len(words.message) == 2000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "detail", "message", "loc", "msg", "param", "code", "type"]), inner)
    ),
    max_leaves=12,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=64))
def test_any_bytes_are_an_error_or_none(payload: bytes) -> None:
    """Nothing that an upstream sends raises."""
    words = error_words(payload)
    assert words is None or words.message.strip()
