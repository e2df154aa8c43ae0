"""An expected answer as a person types it: text for most graders, JSON for some."""

from typing import Any

import msgspec

from gateway.settings import Grader
from optimizer.grading.graders import GraderFailed, Ungradable, grader_for, kind_of

_JSON_ANSWERS = ("json_schema", "tool_call")
"""Graders with JSON as the expected answer."""


def typed_answer(section: Grader, text: str) -> Any:
    """Return the answer that a grader expects. Raises ``Ungradable`` with the reason if the text is none."""
    kind = kind_of(section)
    try:
        expected = msgspec.json.decode(text) if kind in _JSON_ANSWERS else text
        grader_for(section).examine(expected)
    except (msgspec.DecodeError, Ungradable) as error:
        raise GraderFailed(f"that is no expected answer for the grader {kind!r}: {error}") from None
    return expected
