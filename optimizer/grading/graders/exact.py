"""Right if the reply is the expected text. Does not look for it inside a longer reply."""

import json
from typing import Any

from gateway.settings import ExactGrader
from optimizer.grading.graders.ungradable import Ungradable, text_of


def grade(grader: ExactGrader, reply: str, expected: Any) -> bool:
    """Whether the reply equals the expected text; a value that is no string may be written as JSON or as Python."""
    if expected is None:
        raise Ungradable(expected, "a text")
    forms = {text_of(expected)}
    if not isinstance(expected, str):
        forms |= {json.dumps(expected), json.dumps(expected, ensure_ascii=False), str(expected)}
    given = reply.strip()
    if grader.ignore_case:
        return given.casefold() in {form.casefold() for form in forms}
    return given in forms


def label(reply: str) -> str:
    """The reply itself."""
    if not reply.strip():
        raise Ungradable(reply, "a text")
    return reply.strip()
