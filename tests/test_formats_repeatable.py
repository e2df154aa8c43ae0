"""Which requests may be answered by an earlier reply."""

from typing import Any

import msgspec
import pytest

from gateway.formats.anthropic_request import open_anthropic
from gateway.formats.chat import open_chat
from gateway.formats.repeatable import COMPLETE, is_repeatable
from gateway.formats.responses import open_responses

FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


def chat(temperature: str = "0", **fields: Any) -> bool:
    """Whether a chat with a temperature, as written, is repeatable."""
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields})
    return is_repeatable(
        open_chat(body[:-1] + (b', "temperature": ' + temperature.encode() if temperature else b"") + b"}")
    )


@pytest.mark.parametrize("written", ["0", "0.0", "-0", "-0.0", "0e5", "0.000"])
def test_zero_is_zero_however_it_is_written(written: str) -> None:
    """JSON knows many ways of writing it."""
    assert chat(written)


@pytest.mark.parametrize("written", ["", "1e-9", "0.7", "-1", "null", "false", '"0"', "[]", "{}"])
def test_any_other_temperature_leaves_a_choice(written: str) -> None:
    """Without a temperature the model's default holds, which is not 0; ``false`` is no number."""
    assert not chat(written)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2}, {"store": True}, {"web_search_options": {}}, {"audio": {}}, {"modalities": ["text", "audio"]},
        {"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True},
        {"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}, {"xtc_probability": 0.5}, {"mirostat": 2},
        {"dynatemp_range": 1}, {"best_of": 3}, {"somebodys_own_noise": 1},
    ],
)  # fmt: skip
def test_what_asks_for_chance_or_state_is_not_repeatable(fields: dict[str, Any]) -> None:
    """Nor is a field that nobody here knows."""
    assert not chat(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"n": 1}, {"n": None}, {"store": False}, {"store": None}, {"seed": 7}, {"user": "ann"}, {"stream": True},
        {"max_tokens": 9, "stop": ["."], "response_format": {"type": "json_object"}, "metadata": {"a": "b"}},
        {"tools": [FUNCTION], "tool_choice": "auto"}, {"tools": None}, {"tools": []},
    ],
)  # fmt: skip
def test_a_plain_request_is_repeatable(fields: dict[str, Any]) -> None:
    """Tools that the caller runs change nothing: the reply only asks for them."""
    assert chat(**fields)


@pytest.mark.parametrize("kind", ["web_search", "web_search_20250305", "code_interpreter", "mcp", "file_search"])
def test_a_tool_that_runs_at_the_upstream_is_not_repeatable(kind: str) -> None:
    """It reads or changes something there."""
    assert not chat(tools=[FUNCTION, {"type": kind}])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "http://host/picture.png"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_a_content_that_lies_elsewhere_is_not_repeatable(part: dict[str, Any]) -> None:
    """Behind its address there may be another picture tomorrow."""
    assert not chat(messages=[{"role": "user", "content": [part]}])


def test_a_text_about_an_address_is_repeatable() -> None:
    """Inside a text, quotes are escaped."""
    assert chat(messages=[{"role": "user", "content": 'Say {"url": "http://host", "file_id": 1}'}])


@pytest.mark.parametrize(("more", "repeatable"), [
    ({"store": False}, True), ({}, False), ({"store": True}, False), ({"store": False, "background": True}, False),
    ({"store": False, "input": [{"type": "item_reference", "id": "msg_1"}]}, False),
    ({"store": False, "conversation": None, "previous_response_id": None, "background": False}, True),
])  # fmt: skip
def test_a_response_must_say_that_it_is_not_stored(more: dict[str, Any], repeatable: bool) -> None:
    """Without a word the upstream stores it, and later requests may go on from it."""
    body = msgspec.json.encode({"model": "m", "input": "Hello", "temperature": 0, **more})
    assert is_repeatable(open_responses(body)) is repeatable


@pytest.mark.parametrize(("more", "repeatable"), [
    ({}, True), ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, False), ({"mcp_servers": []}, False),
    ({"tools": [{"name": "look_up", "input_schema": {}}]}, True), ({"tools": [{"type": "bash_20250124"}]}, False),
])  # fmt: skip
def test_anthropics_messages_follow_the_same_rules(more: dict[str, Any], repeatable: bool) -> None:
    """A tool without a kind is the caller's."""
    messages = [{"role": "user", "content": "Hello"}]
    body = msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": messages, "temperature": 0, **more})
    assert is_repeatable(open_anthropic(body)) is repeatable


def test_a_reply_that_was_cut_off_is_not_complete() -> None:
    """Nor is a filtered one, nor one whose end nobody gave a reason for."""
    assert not COMPLETE & {"length", "content_filter", "", None}
