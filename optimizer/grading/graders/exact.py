"""The grader ``exact``: right if the whole reply is an accepted text."""

import json
import unicodedata
from typing import Any

from gateway.settings import ExactGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.ungradable import Ungradable, text_of


class ExactText(ReplyGrader):
    """Compare the reply, without surrounding white space, with the expected text or with each text of a list.

    Texts are composed (NFC) first: an accent may be a character of its own.
    """

    def __init__(self, settings: ExactGrader) -> None:
        self._settings = settings

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for an accepted text; a value other than a string may be written as JSON or as Python."""
        if expected is None or expected == []:
            raise Ungradable(expected, "a text, or a list of accepted texts")
        return float(self._form(submission.text) in self._accepted(expected))

    def label(self, submission: Submission) -> str:
        """Return the reply itself. Raises ``Ungradable`` for an empty reply."""
        if not submission.text.strip():
            raise Ungradable(submission.text, "a text")
        return submission.text.strip()

    def contradict(self, first: Any, second: Any) -> bool:
        """Decide whether two expected answers accept no common text."""
        return not self._accepted(first) & self._accepted(second)

    def _accepted(self, expected: Any) -> frozenset[str]:
        forms = {text_of(expected)}
        if not isinstance(expected, str):
            forms |= {json.dumps(expected), json.dumps(expected, ensure_ascii=False), str(expected)}
        if isinstance(expected, list):
            forms |= {form for item in expected if not isinstance(item, list) for form in self._accepted(item)}
        return frozenset(map(self._form, forms))

    def _form(self, text: str) -> str:
        composed = unicodedata.normalize("NFC", text.strip())
        return unicodedata.normalize("NFC", composed.casefold()) if self._settings.ignore_case else composed
