"""What is reserved for a request before its call."""

import json
from typing import Any

import pytest

from gateway.formats.chat import open_chat
from gateway.formats.envelope import Envelope
from gateway.formats.expected_tokens import UNSTATED, expected_tokens
from gateway.formats.plain import open_embeddings
from gateway.formats.token_estimate import estimated_tokens


def chat(content: Any, **fields: Any) -> Envelope:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return open_chat(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("fields", "output"),
    [({}, UNSTATED), ({"max_tokens": 9}, 9), ({"max_completion_tokens": 7, "max_tokens": 9}, 7),
     ({"max_tokens": None}, UNSTATED), ({"max_tokens": 0}, UNSTATED), ({"max_tokens": 10**30}, UNSTATED)],
)  # fmt: skip
def test_the_most_that_a_request_allows_is_its_output(fields: dict[str, Any], output: int) -> None:
    """An odd number is taken for none."""
    assert expected_tokens(chat("hello", **fields))[1] == output


def test_a_prompt_has_a_token_for_four_bytes() -> None:
    """At least one."""
    short, longer = (expected_tokens(chat("word " * count))[0] for count in (1, 401))
    assert short >= 1 and longer - short == 500


def test_an_image_is_not_counted_by_its_bytes() -> None:
    """Or a single one would take up every limit."""
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}]
    request = open_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": image}]}).encode())
    assert expected_tokens(request)[0] == estimated_tokens(request) < 2000


def test_an_embedding_has_no_output() -> None:
    """Its prompt counts."""
    assert expected_tokens(open_embeddings(b'{"model": "m", "input": "hello"}'))[1] == 0
