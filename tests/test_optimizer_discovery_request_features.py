"""What of a request tells its kind, in the body of every API."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from optimizer.discovery.request_features import RequestFeatures, features_of
from tests.unclaimed import exchange

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


def shape(**body: Any) -> RequestFeatures | None:
    return features_of(exchange(1, body))


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]},
        {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Why?"}]},
        {"system": "Be brief.", "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": "Why?"}]},
        {"instructions": "Be brief.", "input": "Why?"},
        {"instructions": "Be brief.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}]},
        {"input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]},
    ],
)
def test_instructions_and_question_are_found_in_every_api(body: dict[str, Any]) -> None:
    """A team may use several for one task."""
    result = shape(**body)
    assert result is not None
    assert (result.system, result.question) == ("Be brief.", "Why?")


@pytest.mark.parametrize(
    "tools",
    [
        [TOOL, {"type": "function", "function": {"name": "buy"}}],
        [{"type": "function", "name": "look_up"}, {"type": "function", "name": "buy"}],
        [{"name": "buy", "input_schema": {}}, {"name": "look_up", "input_schema": {}}],
    ],
)
def test_tools_are_names_in_order(tools: list[dict[str, Any]]) -> None:
    """Their order in a request means nothing."""
    result = shape(messages=[{"role": "user", "content": "Why?"}], tools=tools)
    assert result is not None and result.tools == ("buy", "look_up")


def test_a_wanted_form_is_seen() -> None:
    """In a chat and in a response."""
    asked = [{"role": "user", "content": "Why?"}]
    result = [
        shape(messages=asked, response_format={"type": "json_schema"}),
        shape(input="Why?", text={"format": {"type": "json_object"}}),
        shape(messages=asked),
    ]
    assert [item is not None and item.json for item in result] == [True, True, False]


def test_what_is_no_conversation_has_no_shape() -> None:
    """Embeddings and legacy completions are no kind of task."""
    embeddings = exchange(1, {"model": "e", "input": "Why?"}, usage=Usage(prompt_tokens=2), reply=None)
    assert features_of(embeddings) is None
    assert shape(prompt="Why?") is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["messages", "input", "role", "content", "system", "tools", "function", "name", "type", "text"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_body_is_too_odd(body: Any) -> None:
    """What an upstream accepted may look like anything."""
    features_of(exchange(1, json.dumps(body).encode()))


@given(st.binary(max_size=30))
def test_no_bytes_are_too_odd(body: bytes) -> None:
    """The store gives back what it was given."""
    features_of(exchange(1, body))
