"""The grader ``numeric``: right if the reply states the expected number, read by ``numbers``."""

import math
import re
from fractions import Fraction
from typing import Any

from gateway.settings import NumericGrader
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.numbers import LONGEST, plain_text, stated
from optimizer.grading.graders.ungradable import Ungradable

_AROUND = re.compile(r"[\s$\u20ac\u00a3\u00a5%+\u2212\u2013-]*\.?")
"""Writing around a lone number: currencies, percent, an end of a sentence."""
_MINUS = ("-", "\u2212", "\u2013")
_CURRENCIES = ("$", "\u20ac", "\u00a3", "\u00a5")


class StatedNumber(ReplyGrader):
    """Compare the number in the reply with the expected number, within the tolerance."""

    def __init__(self, settings: NumericGrader) -> None:
        self._settings = settings

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 for the expected number."""
        wanted = self._wanted(expected)
        given = self._answer(submission.text)
        return float(given is not None and abs(given - wanted) <= Fraction(str(self._settings.tolerance)))

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Grade, and say so if the reply states no number or several."""
        score = self.grade(submission, expected)
        if score == 1.0 or self._answer(submission.text) is not None:
            return Grade(score=score)
        count = len(stated(submission.text, decimal_comma=self._settings.decimal == ","))
        return Grade(score=score, remark="the reply states " + ("several numbers" if count else "no number"))

    def label(self, submission: Submission) -> str:
        """Return the reply's number. Raises ``Ungradable`` for a reply with none or with several."""
        given = self._answer(submission.text)
        if given is None:
            raise Ungradable(submission.text, "a reply that states one number")
        return _written(given)

    def contradict(self, first: Any, second: Any) -> bool:
        """Decide whether two expected answers are different numbers."""
        return abs(self._wanted(first) - self._wanted(second)) > Fraction(str(self._settings.tolerance))

    def _answer(self, reply: str) -> Fraction | None:
        values = [number.value for number in stated(reply, decimal_comma=self._settings.decimal == ",")]
        if not values or (self._settings.take == "only" and len(set(values)) > 1):
            return None
        return values[-1]

    def _wanted(self, expected: Any) -> Fraction:
        """Return a number, or the number in a text; in a worked solution (``... #### 42``) that after the mark."""
        if isinstance(expected, int) and not isinstance(expected, bool) and abs(expected) < 10**LONGEST:
            return Fraction(expected)
        if isinstance(expected, float) and math.isfinite(expected):
            return Fraction(str(expected))
        if isinstance(expected, str):
            text = plain_text(expected.rpartition("####")[2].strip())
            numbers = stated(text, decimal_comma=self._settings.decimal == ",")
            number = numbers[0] if len(numbers) == 1 else None
            if number is not None and number.value is not None:
                before, after = text[: number.start], text[number.end :]
                if _AROUND.fullmatch(before) and _AROUND.fullmatch(after):
                    return -abs(number.value) if _ends_in_minus(before) else number.value
        raise Ungradable(expected, f"a number of at most {LONGEST} digits")


def _ends_in_minus(text: str) -> bool:
    """Decide whether a minus stands at the end, or before a currency there. An expression would take quadratic time."""
    text = text.rstrip()
    return (text[:-1].rstrip() if text.endswith(_CURRENCIES) else text).endswith(_MINUS)


def _written(value: Fraction) -> str:
    """Return a number as decimal digits or, if they never end, as a fraction."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(0, value.denominator.bit_length())
    while places and (value * 10 ** (places - 1)).denominator == 1:
        places -= 1
    digits = str(abs(value.numerator * 10**places // value.denominator)).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
