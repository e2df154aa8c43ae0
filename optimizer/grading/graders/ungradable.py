"""The errors of the graders, and the text of an expected value."""

import json
from typing import Any

import msgspec

from gateway.errors import PreceptorError

_SHOWN = 60  # characters of a value in a message


class Ungradable(PreceptorError):
    """The expected value fits no reply: its item must be left out."""

    quotes = True

    def __init__(self, expected: Any, wanted: str) -> None:
        shown = text_of(expected)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        super().__init__(f"expected value {shown!r} is not {wanted}", param="expected")


class GraderFailed(Ungradable):
    """The grader came to no verdict on this reply."""

    def __init__(self, message: str) -> None:
        PreceptorError.__init__(self, message)


def text_of(expected: Any) -> str:
    """Return an expected value as text: a string without surrounding white space, anything else as compact JSON."""
    if isinstance(expected, str):
        return expected.strip()
    try:
        return msgspec.json.encode(expected).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, from a data file
        return json.dumps(expected, separators=(",", ":"))
