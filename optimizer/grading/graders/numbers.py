"""Numbers in a text, as people write them: separators, fractions, powers of ten. Does not calculate.

``12-5`` holds 12 and 5; ``-5`` holds -5; ``1,000``, ``1 000`` (with a narrow space), ``1'000`` and ``1e3`` are a
thousand; ``1.234,50`` and ``1,234.50`` are the same number; ``3/4``, ``¾`` and ``\\frac{3}{4}`` are three quarters,
``1 1/2`` is one and a half; ``1.5*10^6`` is 1,500,000; ``3.`` is 3. Units that follow are ignored; digits inside a word
(``x2``) or a version (``1.2.3``) are no number.
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

from gateway.domain import Value

LONGEST = 1000
"""Digits of a number; a longer one cannot be read."""
_MINUS = "-\u2212\u2013"
"""Hyphen, minus sign, en dash."""
_GROUPING = "\u00a0\u2007\u2009\u202f'\u2019_"
"""Separators of thousands only: no-break, figure, thin and narrow spaces, apostrophes, low line."""
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_NUMBER = re.compile(
    rf"(?:(?<![\w)\].%])(?P<sign>[-+\u2212\u2013]))?[$\u20ac\u00a3\u00a5]?(?<![\w.])"
    rf"(?P<run>\d+(?:[.,{_GROUPING}]\d+)*|\.\d+)"
    rf"(?:[eE](?P<e>[-+\u2212\u2013]?\d{{1,3}})(?!\w)|\s?[\u00d7x*\u00b7\u22c5]\s?10(?:\s?(?:\^|\*\*)\s?[{{(]?"
    rf"(?P<power>[-+\u2212\u2013]?\d{{1,3}})(?!\d)[)}}]?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}})))?"
)
_LATEX = (
    (re.compile(r"\\[dt]?frac\s?\{\s?(\d{1,50})\s?\}\{\s?(\d{1,50})\s?\}"), r"\1/\2"),
    (re.compile(r"\{,\}|\\[,!](?=\d{3})"), ","),
    (re.compile(r"\\(?:times|cdot)\b"), "\u00d7"),
)
_EVERY_THREE = re.compile(r"\d{1,3}([^\d])\d{3}(?:\1\d{3})*|\d{1,2}(,)\d{2}(?:,\d{2})*,\d{3}")
"""Groups of three digits, or India's groups of two before the last three."""


class Stated(Value, frozen=True):
    """A number in a text."""

    value: Fraction | None
    """``None`` for a number too long to read."""
    start: int
    end: int


def stated(text: str, *, decimal_comma: bool = False) -> list[Stated]:
    """Return every number in a text, in order. ``decimal_comma``: ``1.234`` is thousands, and ``1,234`` is 1.234."""
    plain = plain_text(text)
    singles = [number for match in _NUMBER.finditer(plain) for number in _numbers(match, decimal_comma)]
    return list(_fractions(singles, plain))


def plain_text(text: str) -> str:
    """Return a text with LaTeX and fraction characters in plain writing; positions of ``Stated`` are in it."""
    for pattern, writing in _LATEX:
        text = pattern.sub(writing, text)
    if text.isascii():
        return text
    written: list[str] = []
    for character in text:
        before = written[-1][-1:] if written else ""
        written.append(_character(character, mixed=before.isdigit()))
    return "".join(written)


def _character(character: str, *, mixed: bool) -> str:
    if not unicodedata.decomposition(character).startswith("<fraction>"):
        return character
    return " " * mixed + unicodedata.normalize("NFKC", character).replace("\u2044", "/")


def _numbers(match: re.Match[str], decimal_comma: bool) -> Iterator[Stated]:
    """Yield the numbers of a run of digits and separators: one, several in a list, or none of a version."""
    negative = match["sign"] is not None and match["sign"] in _MINUS
    exponent = _exponent(match)
    for place, (digits, start) in enumerate(_parts(match["run"], decimal_comma)):
        value = _value(digits)
        if value is not None:
            value = (-value if negative and place == 0 else value) * Fraction(10) ** exponent
        first = match.start() if place == 0 else match.start("run") + start
        yield Stated(value=value, start=first, end=match.end())


def _exponent(match: re.Match[str]) -> int:
    written = match["e"] or match["power"] or (match["raised"] or "0").translate(_SUPERSCRIPTS)
    return int(written.translate(str.maketrans("\u2212\u2013", "--")))


def _parts(run: str, decimal_comma: bool) -> Iterator[tuple[str, int]]:
    """Yield digits with a decimal point at most, and their place in the run."""
    joined = _without_groups(run)
    if joined is None:
        position = 0
        for part in re.split(f"[{_GROUPING}]", run):
            yield from ((digits, position + start) for digits, start in _parts(part, decimal_comma))
            position += len(part) + 1
        return
    reading = _reading(joined, decimal_comma)
    if reading is not None:
        yield reading, 0
    elif "," in joined:
        position = 0
        for part in joined.split(","):
            if part.count(".") < 2:
                yield part, position
            position += len(part) + 1


def _without_groups(run: str) -> str | None:
    """Return a run without spaces and apostrophes between thousands; ``None`` if they separate anything else."""
    whole = re.match(rf"[\d{_GROUPING}]+", run)
    if whole is None or not re.search(f"[{_GROUPING}]", run):
        return run
    rest = run[whole.end() :]
    if (
        _EVERY_THREE.fullmatch(whole[0]) is None
        or re.search(f"[{_GROUPING}]", rest)
        or len(re.findall("[.,]", rest)) > 1
    ):
        return None
    return re.sub(f"[{_GROUPING}]", "", whole[0]) + rest.replace(",", ".")


def _reading(run: str, decimal_comma: bool) -> str | None:
    """Return a run as digits with a decimal point; ``None`` for a list or a version."""
    point, comma = run.rfind("."), run.rfind(",")
    if point < 0 and comma < 0:
        return run
    last, other = (".", ",") if point > comma else (",", ".")
    whole, _, after = run.rpartition(last)
    if other in run:  # 1.234,50 and 1,234.50
        grouped = last not in whole and _EVERY_THREE.fullmatch(whole) is not None
        return f"{whole.replace(other, '')}.{after}" if grouped else None
    thousands = _EVERY_THREE.fullmatch(run) is not None
    if run.count(last) > 1:
        return run.replace(last, "") if thousands else None
    is_group = thousands and (last == ",") is not decimal_comma
    return run.replace(last, "") if is_group else f"{whole}.{after}"


def _value(digits: str) -> Fraction | None:
    if len(digits) > LONGEST:
        return None
    whole, _, after = digits.partition(".")
    return Fraction(int(whole + after or "0"), 10 ** len(after))


def _fractions(numbers: list[Stated], text: str) -> Iterator[Stated]:
    """Yield the numbers with ``3/4`` as one, and ``1 1/2`` as one; ``1/2/2024`` stays three."""
    place = 0
    while place < len(numbers):
        joined = _mixed(numbers[place : place + 3], text) or _fraction(numbers[place : place + 2], text)
        size = 1
        if joined is not None:
            size = 3 if len(numbers) > place + 2 and joined.end == numbers[place + 2].end else 2
        yield joined or numbers[place]
        place += size


def _fraction(pair: list[Stated], text: str) -> Stated | None:
    """Return two whole numbers with a stroke between them as a fraction."""
    if len(pair) < 2 or text[pair[0].end : pair[1].start] not in ("/", "\u2044"):
        return None
    above, below = pair[0].value, pair[1].value
    chained = text[pair[0].start - 1 : pair[0].start] == "/" or text[pair[1].end : pair[1].end + 1] == "/"
    if chained or above is None or below is None or below <= 0 or above.denominator * below.denominator != 1:
        return None
    return Stated(value=above / below, start=pair[0].start, end=pair[1].end)


def _mixed(three: list[Stated], text: str) -> Stated | None:
    """Return a whole number and a proper fraction behind a space as their sum."""
    fraction = _fraction(three[1:], text)
    if fraction is None or text[three[0].end : fraction.start].strip(" \u00a0\u202f") or fraction.value is None:
        return None
    whole = three[0].value
    if whole is None or whole.denominator != 1 or not 0 < fraction.value < 1 or three[0].end == fraction.start:
        return None
    return Stated(
        value=whole - fraction.value if whole < 0 else whole + fraction.value, start=three[0].start, end=fraction.end
    )
