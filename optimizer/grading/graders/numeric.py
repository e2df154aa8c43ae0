"""The grader ``numeric``: right if the reply states the expected number. Reads numbers as people write them.

``12-5`` holds 12 and 5; ``-5`` holds -5; ``1,000`` and ``1e3`` are a thousand, ``1, 2`` are two numbers; ``3.`` is 3;
``$``, ``%`` and units that follow are ignored; digits inside a word (``x2``) or a version (``1.2.3``) are no number.
"""

import math
import re
from decimal import Decimal
from typing import Any

from gateway.settings import NumericGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.ungradable import Ungradable

_MINUS = "-\u2212\u2013"
"""Hyphen, minus sign, en dash."""
_AMOUNT = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_EXPONENT = r"(?:[eE][+-]?\d{1,3}(?![\w]))?"
# A sign belongs to a number only where nothing that could be an operand stands before it.
_NUMBER = re.compile(
    rf"(?:(?<![\w)\].%])(?P<sign>[+{_MINUS}]))?[$\u20ac\u00a3\u00a5]?"
    rf"(?<![\w.])(?P<value>(?:{_AMOUNT}){_EXPONENT})(?!\d|\.\d)"
)
_EXPECTED = re.compile(rf"[+{_MINUS}]?\s*[$\u20ac\u00a3\u00a5]?\s*[+{_MINUS}]?(?:{_AMOUNT}){_EXPONENT}\s*%?\.?")
_LATEX_COMMAS = re.compile(r"\{,\}|\\,(?=\d{3})")


class StatedNumber(ReplyGrader):
    """Compare the number in the reply with the expected number, within the tolerance."""

    def __init__(self, settings: NumericGrader) -> None:
        self._settings = settings

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for the expected number."""
        wanted = _wanted(expected)
        given = self._answer(submission.text)
        return float(given is not None and abs(given - wanted) <= Decimal(str(self._settings.tolerance)))

    def label(self, submission: Submission) -> str:
        """Return the reply's number. Raises ``Ungradable`` for a reply with none or with several."""
        given = self._answer(submission.text)
        if given is None:
            raise Ungradable(submission.text, "a reply that states one number")
        return format(given, "f")

    def _answer(self, reply: str) -> Decimal | None:
        stated = numbers(reply)
        if not stated or (self._settings.take == "only" and len(set(stated)) > 1):
            return None
        return stated[-1]


def numbers(text: str) -> list[Decimal]:
    """Return every number in a text, in order."""
    plain = _LATEX_COMMAS.sub(",", text)
    return [_decimal(match["sign"], match["value"]) for match in _NUMBER.finditer(plain)]


def _decimal(sign: str | None, value: str) -> Decimal:
    number = Decimal(value.replace(",", ""))
    return -number if sign and sign in _MINUS else number


def _wanted(expected: Any) -> Decimal:
    """Return a number, or the number in a text; in a worked solution (``... #### 42``) the number after the mark."""
    if isinstance(expected, int | float) and not isinstance(expected, bool) and math.isfinite(expected):
        return Decimal(str(expected))
    if isinstance(expected, str):
        text = expected.rpartition("####")[2].strip()
        stated = numbers(text)
        if len(stated) == 1 and _EXPECTED.fullmatch(text):
            return stated[0]
    raise Ungradable(expected, "a number")
