"""The grader ``exact``: right if the whole reply is the expected text."""

import json
from typing import Any

from gateway.settings import ExactGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.ungradable import Ungradable, text_of


class ExactText(ReplyGrader):
    """Compare the reply, without surrounding white space, with the expected text."""

    def __init__(self, settings: ExactGrader) -> None:
        self._settings = settings

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for the expected text; a value other than a string may be written as JSON or as Python."""
        if expected is None:
            raise Ungradable(expected, "a text")
        forms = {text_of(expected)}
        if not isinstance(expected, str):
            forms |= {json.dumps(expected), json.dumps(expected, ensure_ascii=False), str(expected)}
        given = submission.text.strip()
        if self._settings.ignore_case:
            given, forms = given.casefold(), {form.casefold() for form in forms}
        return float(given in forms)

    def label(self, submission: Submission) -> str:
        """Return the reply itself. Raises ``Ungradable`` for an empty reply."""
        if not submission.text.strip():
            raise Ungradable(submission.text, "a text")
        return submission.text.strip()
