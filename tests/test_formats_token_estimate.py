"""The estimate of a request's tokens."""

import json
from typing import Any

import pytest

from gateway.formats.chat import open_chat
from gateway.formats.token_estimate import estimated_tokens

PROSE = "The quick brown fox jumps over the lazy dog while the small model waits for its next question. " * 20


def tokens(*contents: Any, **fields: Any) -> int:
    messages = [{"role": "user", "content": content} for content in contents]
    return estimated_tokens(open_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode()))


def test_prose_counts_about_four_letters_a_token() -> None:
    """And a little for the message around it."""
    assert len(PROSE) / 4 < tokens(PROSE) < len(PROSE) / 4 + 10


def test_other_scripts_count_more() -> None:
    """A Chinese letter is about a token."""
    assert tokens("模型在回答之前先思考" * 50) > 3 * tokens("abcdefghij" * 50) / 2


@pytest.mark.parametrize("letters", [100, 4_000_000])
def test_an_image_counts_the_same_whatever_its_bytes(letters: int) -> None:
    """Base64 of megabytes would look like a full context, and clients would drop their history."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * letters}}
    assert 1_000 < tokens([image, {"type": "text", "text": "What is it?"}]) < 1_300


def test_tools_and_turns_count() -> None:
    """More of either is more; nothing is at least one."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert tokens("hi") < tokens("hi", "hi") < tokens("hi", "hi", tools=[tool])
    assert tokens("") >= 1


def test_rules_count() -> None:
    """They fill the context as the conversation does."""
    request = open_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode())
    assert estimated_tokens(request, PROSE) > estimated_tokens(request) + len(PROSE) / 5
