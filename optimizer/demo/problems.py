"""Word problems of two to four steps, made from templates and a seed. Every answer is a whole number above zero."""

from collections.abc import Callable, Iterator
from random import Random

from gateway.domain import Value

BASE_PROMPT = "Answer the question. Reply with only the final answer."

_NAMES = ("Ana", "Ben", "Chloe", "Dev", "Ella", "Farid", "Grace", "Hugo", "Iris", "Jonas", "Kemi", "Lars")


class Problem(Value, frozen=True):
    """A question and its answer."""

    question: str
    answer: int | str


class _Draw:
    """Names and numbers for one problem."""

    def __init__(self, random: Random) -> None:
        self.a, self.b = random.sample(_NAMES, 2)
        self.number = random.randint


def _shopping(d: _Draw) -> Problem:
    n, m, p, q = d.number(3, 9), d.number(3, 9), d.number(4, 12), d.number(2, 7)
    return Problem(
        question=f"A notebook costs {p} dollars and a pen costs {q} dollars. {d.a} buys {n} notebooks and {m} pens. "
        f"How many dollars does {d.a} pay?",
        answer=n * p + m * q,
    )


def _bakery(d: _Draw) -> Problem:
    trays, size, sold = d.number(4, 9), d.number(3, 6), d.number(3, 9)
    return Problem(
        question=f"{d.a} bakes {trays} trays with {size * 4} buns on each tray, and packs the buns in bags of {size}. "
        f"Then {sold} bags are sold. How many bags are left?",
        answer=trays * 4 - sold,
    )


def _school(d: _Draw) -> Problem:
    classes, pupils, gone, new = d.number(3, 8), d.number(12, 25), d.number(2, 9), d.number(3, 9)
    return Problem(
        question=f"A school has {classes} classes with {pupils} pupils in each class. {gone} pupils leave and {new} "
        "pupils join. How many pupils does the school have?",
        answer=classes * pupils - gone + new,
    )


def _oranges(d: _Draw) -> Problem:
    morning, crate, afternoon = d.number(3, 8), d.number(12, 25), d.number(2, 9)
    return Problem(
        question=f"A shop sells {morning} crates of {crate} oranges in the morning and {afternoon} crates of {crate} "
        "oranges in the afternoon. How many oranges does the shop sell?",
        answer=(morning + afternoon) * crate,
    )


def _garden(d: _Draw) -> Problem:
    rows, tulips, more = d.number(3, 8), d.number(4, 9), d.number(2, 5)
    return Problem(
        question=f"A garden has {rows} rows of {tulips} tulips and {rows + more} rows of {tulips + more} roses. "
        "How many flowers are in the garden?",
        answer=rows * tulips + (rows + more) * (tulips + more),
    )


def _eggs(d: _Draw) -> Problem:
    boxes, size, price = d.number(6, 24), d.number(6, 9), d.number(2, 4)
    return Problem(
        question=f"{d.a} puts {boxes * size} eggs into boxes of {size}. {d.a} sells each box for {price} dollars. "
        f"How many dollars does {d.a} get?",
        answer=boxes * price,
    )


def _ages(d: _Draw) -> Problem:
    age, older, years = d.number(20, 40), d.number(3, 9), d.number(2, 9)
    return Problem(
        question=f"{d.a} is {older} years older than {d.b}. {d.b} is {age} years old. How old will {d.a} be in "
        f"{years} years?",
        answer=age + older + years,
    )


def _apples(d: _Draw) -> Problem:
    first, second, eaten = d.number(11, 29), d.number(11, 29), d.number(2, 6)
    return Problem(
        question=f"{d.a} picks {first} apples and {d.b} picks {second} apples. They eat {eaten} apples and share the "
        f"rest so that {d.a} gets {eaten * 2}. How many apples does {d.b} get?",
        answer=first + second - eaten * 3,
    )


def _savings(d: _Draw) -> Problem:
    amount, weeks, more = d.number(3, 6), d.number(12, 29), d.number(2, 5)
    return Problem(
        question=f"{d.a} saves {amount} dollars a week for {weeks} weeks and {d.b} saves {amount + more} dollars a "
        f"week for {weeks} weeks. How many dollars do they save together?",
        answer=(2 * amount + more) * weeks,
    )


_TEMPLATES: tuple[Callable[[_Draw], Problem], ...] = (
    _shopping, _bakery, _school, _oranges, _garden, _eggs, _ages, _apples, _savings,
)  # fmt: skip


def problems(seed: int) -> Iterator[Problem]:
    """An endless stream of different problems, the templates in turn."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    seen: set[str] = set()
    while True:
        for template in _TEMPLATES:
            problem = template(_Draw(random))
            if problem.question not in seen:
                seen.add(problem.question)
                yield problem
