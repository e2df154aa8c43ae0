"""The grader ``regex``: right if a regular expression decides so. No expression ever comes from a reply."""

import re
from typing import Any

from gateway.linear_regex import LinearRegex
from gateway.settings import RegexGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.ungradable import Ungradable, text_of


class RegexMatch(ReplyGrader):
    """Search the reply for ``expected`` or, with a ``pattern``, compare the extracted part with ``expected``."""

    def __init__(self, settings: RegexGrader) -> None:
        self._pattern = settings.pattern
        self.can_label = settings.pattern is not None

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for a match."""
        if expected is None:
            raise Ungradable(expected, "a text")
        if self._pattern is not None:
            return float(_extract(self._pattern, submission.text) == text_of(expected))
        try:
            return float(LinearRegex(text_of(expected)).search(submission.text))
        except ValueError as error:
            raise Ungradable(expected, f"a regular expression to search for in linear time ({error})") from error

    def label(self, submission: Submission) -> str:
        """Return the part of the reply that the ``pattern`` extracts. Raises ``Ungradable`` where nothing matches."""
        extracted = _extract(self._pattern, submission.text) if self._pattern is not None else None
        if not extracted:
            raise Ungradable(submission.text, "a reply that reveals the expected answer")
        return extracted


def _extract(pattern: str, reply: str) -> str | None:
    match = re.search(pattern, reply)
    if match is None:
        return None
    return ((match[1] if match.re.groups else match[0]) or "").strip()
