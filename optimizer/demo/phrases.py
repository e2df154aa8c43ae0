"""Spoken phrases and their written form by the conventions of a house, made from templates and a seed.

No instruction states the conventions: only the corrections of the demo's users show them.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from optimizer.demo.problems import Problem

PROMPT: Final = "Write the phrase in the written form of our records. Reply with the written form only."
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CURRENCIES = {"euros": "EUR", "dollars": "USD", "francs": "CHF"}
_GOODS = {"pallets": "PAL", "boxes": "BOX", "crates": "CRT", "drums": "DRM"}


def spoken(number: int) -> str:
    """Return a number below 100 in words."""
    if number < len(_UNITS):
        return _UNITS[number]
    tens, units = divmod(number, 10)
    return _TENS[tens] + (f" {_UNITS[units]}" if units else "")


def _price(random: Random) -> Problem:
    amount, (words, code) = random.randint(2, 99), random.choice(sorted(_CURRENCIES.items()))
    return Problem(question=f"{spoken(amount)} {words}", answer=f"{code} {amount}.00")


def _date(random: Random) -> Problem:
    day, month = random.randint(1, 28), random.randint(1, 12)
    return Problem(question=f"day {spoken(day)} of {_MONTHS[month - 1]}", answer=f"D{day:02}-M{month:02}")


def _time(random: Random) -> Problem:
    hour, day = random.randint(1, 11), random.randint(0, 6)
    return Problem(question=f"{_DAYS[day]} at {spoken(hour)} in the evening", answer=f"W{day + 1}/{hour + 12}h")


def _goods(random: Random) -> Problem:
    count, (words, code) = random.randint(2, 60), random.choice(sorted(_GOODS.items()))
    return Problem(question=f"{spoken(count)} {words}", answer=f"{count}x{code}")


_TEMPLATES: tuple[Callable[[Random], Problem], ...] = (_price, _date, _time, _goods)


def phrases(seed: int) -> Iterator[Problem]:
    """Yield different phrases, the templates in turn. They end when no new one is found for a while."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    seen: set[str] = set()
    while True:
        for template in _TEMPLATES:
            phrase = template(random)
            while phrase.question in seen:
                phrase = template(random)
            seen.add(phrase.question)
            yield phrase
