"""Legacy completions and embeddings: looked into as far as needed, and nothing injected."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from gateway.errors import BadRequest, UpstreamGarbage
from gateway.formats import sse
from gateway.formats.plain import open_embeddings, open_text
from gateway.formats.transcript import Transcript


def test_a_prompt_is_handed_on_as_it_came() -> None:
    """Only the model's name and what counts the tokens of a stream change."""
    envelope = open_text(b'{"model":"m","prompt":["a", "b"],"stream":true,"x": 1.0}')
    assert (envelope.model, envelope.stream, envelope.path) == ("m", True, "/completions")
    sealed = envelope.sealed(envelope.usage_changes())
    assert sealed == b'{"model":"m","prompt":["a", "b"],"stream":true,"x":1.0,"stream_options":{"include_usage":true}}'


def test_a_stream_of_texts_is_read() -> None:
    """Choices have a text instead of a delta; the id becomes the exchange's."""
    transcript = Transcript()
    reader = open_text(b'{"model":"m","stream":true}').reader(transcript, "ex-1", untouched=False, tags=None)
    data = b'{"id":"cmpl-1","choices":[{"index":0,"text":"4","finish_reason":"length"}]}'
    out = reader.read(data, sse.event_of(data))
    assert out is not None and b'"id":"ex-1"' in out
    assert (transcript.text, transcript.finish_reason, reader.finished) == ("4", "length", True)


def test_embeddings_keep_every_byte() -> None:
    """Thousands of numbers are not decoded; only the tokens are read."""
    body = b'{"data":[{"embedding":[0.10, -1e-3],"index":0}], "usage":{"prompt_tokens":7,"total_tokens":7}}'
    reply = open_embeddings(b'{"model":"m","input":"hi"}').open_reply(body)
    assert reply.usage == Usage(prompt_tokens=7)
    assert reply.sealed("ex-1") == body


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"error":"x"}', b"<html>"])
def test_what_is_no_list_of_embeddings_is_garbage(body: bytes) -> None:
    """It is the upstream's fault, and said so."""
    with pytest.raises(UpstreamGarbage):
        open_embeddings(b'{"model":"m"}').open_reply(body)


@given(st.binary() | st.just(json.dumps({"model": "m", "stream": "yes"}).encode()))
def test_any_bytes_are_a_request_or_a_bad_one(body: bytes) -> None:
    """No body raises anything but ``BadRequest``."""
    for opened in (open_text, open_embeddings):
        try:
            opened(body)
        except BadRequest:
            continue
