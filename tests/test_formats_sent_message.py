"""Anthropic's messages as the gateway reads them: texts, calls, ends and counts."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import ToolCall, Usage
from gateway.errors import UpstreamGarbage
from gateway.formats.sent_message import (
    arguments,
    counted_message,
    finish_reason,
    merged_counts,
    read_event,
    read_message,
    recounted_message,
)
from tests.sent_messages import COUNTS, message, said, thought, use

COUNT = st.integers(0, 10**6)


def test_text_and_calls_of_a_message() -> None:
    """The text of all blocks, cut anywhere by citations; thinking is no text."""
    sent = message(thought("hm"), said("It is"), said(" 4"), use("add", {"a": 2}))
    read = read_message(msgspec.json.encode(sent))
    assert read.text() == "It is 4"
    assert read.calls() == (ToolCall(name="add", arguments='{"a":2}'),)


def test_no_input_is_an_empty_object() -> None:
    """As clients of chats expect it."""
    assert arguments(msgspec.Raw()) == "{}"


@pytest.mark.parametrize("odd", [None, 3, {}, []])
def test_an_odd_end_is_none(odd: object) -> None:
    """It is no end to learn from."""
    assert finish_reason(odd) is None


def test_tokens_of_the_cache_are_tokens_of_the_prompt() -> None:
    """Read from it and written to it; Anthropic counts each token in a single place."""
    assert counted_message(COUNTS) == Usage(prompt_tokens=127, output_tokens=3, cached_tokens=100, written_tokens=20)
    assert counted_message([]) == Usage()


@given(COUNT, COUNT, COUNT, COUNT)
def test_the_counts_of_several_passes_read_as_their_sum(fresh: int, written: int, cached: int, output: int) -> None:
    """In Anthropic's own fields, next to those that nobody adds up."""
    last = {
        "input_tokens": fresh, "cache_creation_input_tokens": written, "cache_read_input_tokens": cached,
        "output_tokens": output, "service_tier": "standard",
    }  # fmt: skip
    total = counted_message(last) + Usage(prompt_tokens=30, output_tokens=5, cached_tokens=10, written_tokens=8)
    again = recounted_message(last, total)
    assert counted_message(again) == total and again["service_tier"] == "standard"


def test_later_counts_replace_earlier_ones() -> None:
    """Unless they say nothing."""
    merged = merged_counts({"input_tokens": 7, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 3})
    assert merged == {"input_tokens": 7, "output_tokens": 3}
    assert merged_counts(None, []) == {}


def test_odd_accounting_and_half_characters_break_nothing() -> None:
    """A client's SDK would not look at them."""
    sent = message(said("4"), use("add", {"a": 2}), id=7, usage=[])
    assert read_message(json.dumps(sent).encode()).calls() == (ToolCall(name="add", arguments='{"a": 2}'),)
    half = b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x\\ud83d"}}'
    delta = read_event(half).delta
    assert delta is not None and delta.text == "x?"


@given(st.binary())
def test_garbage_is_called_garbage(data: bytes) -> None:
    """Never an error of ours."""
    for read in (read_message, read_event):
        try:
            read(data)
        except UpstreamGarbage:
            continue
