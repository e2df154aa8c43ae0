"""Right if a regular expression says so. Expressions come from the configuration and the data, never from a reply."""

import re
from typing import Any

from gateway.settings import RegexGrader
from optimizer.grading.graders.ungradable import Ungradable, text_of


def grade(grader: RegexGrader, reply: str, expected: Any) -> bool:
    """Whether ``expected`` is found in the reply; with a ``pattern``, whether what that finds equals ``expected``."""
    if expected is None:
        raise Ungradable(expected, "a text")
    if grader.pattern is not None:
        return _extract(grader.pattern, reply) == text_of(expected)
    try:
        return re.search(text_of(expected), reply) is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise Ungradable(expected, f"a regular expression ({error})") from error


def label(grader: RegexGrader, reply: str) -> str:
    """What the ``pattern`` finds in the reply; without one, a right reply does not say what it was to match."""
    found = _extract(grader.pattern, reply) if grader.pattern is not None else None
    if not found:
        raise Ungradable(reply, "a reply from which an expected answer can be told")
    return found


def _extract(pattern: str, reply: str) -> str | None:
    match = re.search(pattern, reply)
    if match is None:
        return None
    return ((match[1] if match.re.groups else match[0]) or "").strip()
