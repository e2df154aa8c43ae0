"""A whole reply: read where the gateway must look, handed on as it came."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from gateway.errors import UpstreamGarbage
from gateway.pipeline.outcome import open_completion

BODY = (
    b'{"id":"up-1", "x": 1.0, "choices":[ {"index":0,"message":{"role":"assistant","content":"4"},'
    b'"finish_reason":"stop"} ],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}, "y": "\\u00e9"}'
)


def test_a_reply_is_read() -> None:
    """Text, reason of its end, and usage."""
    completion = open_completion(BODY)
    assert (completion.text, completion.finish_reason) == ("4", "stop")
    assert completion.usage == Usage(prompt_tokens=7, output_tokens=3)


def test_a_reply_keeps_its_bytes_under_the_exchanges_id() -> None:
    """Only the id is another one."""
    fields = msgspec.json.decode(BODY, type=dict[str, msgspec.Raw])
    sealed = msgspec.json.decode(open_completion(BODY).sealed("ex-1"), type=dict[str, msgspec.Raw])
    assert bytes(sealed.pop("id")) == b'"ex-1"'
    assert {name: bytes(value) for name, value in sealed.items()} == {
        name: bytes(value) for name, value in fields.items() if name != "id"
    }


def test_a_reply_without_an_id_gets_one() -> None:
    """Feedback needs the exchange's id, whether or not the upstream knows ids."""
    assert json.loads(open_completion(b'{"choices":[]}').sealed("ex-1")) == {"id": "ex-1", "choices": []}


def test_text_and_usage_are_replaced_where_given() -> None:
    """What surrounds them stays."""
    sealed = json.loads(
        open_completion(BODY).sealed("ex-1", text="five", usage=Usage(prompt_tokens=9, output_tokens=8))
    )
    expected = json.loads(BODY)
    expected["id"] = "ex-1"
    expected["choices"][0]["message"]["content"] = "five"
    expected["usage"] = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
    assert sealed == expected


def test_the_choice_with_index_0_is_the_reply() -> None:
    """Upstreams may send choices in any order."""
    choices = b'[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]'
    completion = open_completion(b'{"choices":' + choices + b"}")
    assert completion.text == "a"
    sealed = json.loads(completion.sealed("ex-1", text="A"))
    assert [choice["message"]["content"] for choice in sealed["choices"]] == ["b", "A"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[]}',
        b'{"choices":[{"message":{"content":null,"tool_calls":[{"id":"t"}]}}],"usage":null}',
        b'{"choices":[{"message":{}}]}',
    ],
)
def test_a_reply_may_have_no_text(body: bytes) -> None:
    """Tool calls and empty answers are replies."""
    completion = open_completion(body)
    assert (completion.text, completion.usage) == (None, Usage())


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"<html>", b'{"choices":null}', b'{"choices":[3]}', b'{"choices":[{}]}',
        b'{"choices":[{"message":{"content":3}}]}', b'{"choices":[],"usage":{"prompt_tokens":"7"}}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
    ],
)  # fmt: skip
def test_what_is_no_completion_is_garbage(body: bytes) -> None:
    """It is the upstream's fault, and said so."""
    with pytest.raises(UpstreamGarbage):
        open_completion(body)


@given(st.binary())
def test_any_bytes_are_a_completion_or_garbage(body: bytes) -> None:
    """Nothing that an upstream sends raises anything else."""
    for answer in (body, BODY[: len(body)], BODY.replace(b"stop", body)):
        try:
            open_completion(answer).sealed("ex-1", text="x", usage=Usage())
        except UpstreamGarbage:
            continue


def test_what_cannot_be_rewritten_is_garbage() -> None:
    """A value that only rewriting must decode is the upstream's fault too."""
    completion = open_completion(b'{"choices":[{"message":{"content":"4"},"x":1e999}]}')
    assert completion.sealed("ex-1")
    with pytest.raises(UpstreamGarbage):
        completion.sealed("ex-1", text="x")
