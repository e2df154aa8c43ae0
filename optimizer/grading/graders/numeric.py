"""Right if the reply states the expected number. Reads numbers as people write them; does not calculate.

``12-5`` holds 12 and 5; ``-5`` holds -5; ``1,000`` and ``1e3`` are a thousand, ``1, 2`` are two numbers; ``3.`` is 3;
``$``, ``%`` and units that follow are ignored; digits inside a word (``x2``) or a version (``1.2.3``) are no number.
"""

import math
import re
from decimal import Decimal
from typing import Any

from gateway.settings import NumericGrader
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


def grade(grader: NumericGrader, reply: str, expected: Any) -> bool:
    """Whether the reply's number is the expected one, within the tolerance."""
    wanted = _wanted(expected)
    given = _answer(grader, reply)
    return given is not None and abs(given - wanted) <= Decimal(str(grader.tolerance))


def label(grader: NumericGrader, reply: str) -> str:
    """The reply's number."""
    given = _answer(grader, reply)
    if given is None:
        raise Ungradable(reply, "a reply that states one number")
    return format(given, "f")


def numbers(text: str) -> list[Decimal]:
    """Every number in a text, in order."""
    plain = _LATEX_COMMAS.sub(",", text)
    return [_decimal(match["sign"], match["value"]) for match in _NUMBER.finditer(plain)]


def _answer(grader: NumericGrader, reply: str) -> Decimal | None:
    found = numbers(reply)
    if not found or (grader.take == "only" and len(set(found)) > 1):
        return None
    return found[-1]


def _decimal(sign: str | None, value: str) -> Decimal:
    number = Decimal(value.replace(",", ""))
    return -number if sign and sign in _MINUS else number


def _wanted(expected: Any) -> Decimal:
    """A number, or a text that is one; of a worked solution (``... #### 42``) what follows the mark."""
    if isinstance(expected, int | float) and not isinstance(expected, bool) and math.isfinite(expected):
        return Decimal(str(expected))
    if isinstance(expected, str):
        text = expected.rpartition("####")[2].strip()
        found = numbers(text)
        if len(found) == 1 and _EXPECTED.fullmatch(text):
            return found[0]
    raise Ungradable(expected, "a number")
