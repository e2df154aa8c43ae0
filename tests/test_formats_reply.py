"""What upstreams send and cannot be used: said as their fault, in their words where they have some."""

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest, UpstreamGarbage
from gateway.formats.reply import broken, decoded, from_upstream


@pytest.mark.parametrize("error", [BadRequest("x"), msgspec.DecodeError("x"), RecursionError()])
def test_what_cannot_be_read_is_the_upstreams_fault(error: Exception) -> None:
    """Also where the code that reads it would blame a client."""
    with pytest.raises(UpstreamGarbage, match="not a list"), from_upstream("a list"):
        raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"message": "out of memory"}, ": out of memory"),
        ("out of memory", ": out of memory"),
        ({"message": "x" * 600}, ": " + "x" * 500),
        ({"message": ""}, ""),
        ({"message": 3}, ""),
        (None, ""),
    ],
)
def test_an_error_in_a_stream_is_told_in_the_upstreams_words(error: Any, words: str) -> None:
    """As far as there are any, and not without end."""
    assert broken(error).message == "the upstream reported an error in the middle of its stream" + words


TEXTS = msgspec.json.Decoder(list[str])


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b'["\\ud83d"]', ["\ud83d"]), (b'["\\uDE00 x"]', ["\ude00 x"]), (b'["\\ud83d\\ude00"]', ["\U0001f600"])],
)
def test_half_a_surrogate_pair_is_let_through(data: bytes, expected: list[str]) -> None:
    """The clients' own readers accept it, so the gateway does not refuse it in their place."""
    assert decoded(TEXTS, data) == expected


@pytest.mark.parametrize("data", [b'["\\ud83d"', b'["\\ud83d", 3]', b"[3]", b'"\\ud83d"', b"[" * 10**5 + b'"\\ud83d"'])
def test_what_is_wrong_otherwise_stays_wrong(data: bytes) -> None:
    """A surrogate excuses nothing else."""
    with pytest.raises(msgspec.DecodeError):
        decoded(TEXTS, data)
