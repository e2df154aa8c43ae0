"""The grader ``regex``: right if a regular expression decides so, in time linear in the reply.

No expression ever comes from a reply.
"""

from typing import Any

from gateway.linear_match import LinearMatch
from gateway.linear_regex import LinearRegex
from gateway.settings import RegexGrader
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.ungradable import Ungradable, text_of


class RegexMatch(ReplyGrader):
    """Search the reply for ``expected`` or, with a ``pattern``, compare the extracted part with ``expected``."""

    is_slow = True

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

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Grade, and say so if the pattern finds nothing."""
        score = self.grade(submission, expected)
        matches = score == 1.0 or self._pattern is None or _extract(self._pattern, submission.text) is not None
        return Grade(score=score, remark="" if matches else "the reply has nothing in the form that is asked for")


def _extract(pattern: str, reply: str) -> str | None:
    extracted = LinearMatch(pattern).extract(reply)
    return None if extracted is None else extracted.strip()
