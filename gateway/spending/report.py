"""The spending of some days for people: by key, owner, task, arm or model. Pure, but for the reading."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from gateway.domain import Value
from gateway.spending.book import SPEND, Days, Spent, days_between
from gateway.store.base import Store

By = Literal["key", "owner", "task", "arm", "model"]
BY: tuple[By, ...] = ("key", "owner", "task", "arm", "model")


class SpentLine(Value, frozen=True):
    """The spending under a name."""

    name: str
    requests: int
    prompt_tokens: int
    output_tokens: int
    usd: float
    saved_usd: float
    """The strong model's price for the same tokens less what was spent, learning included; negative: it costs more."""


def read_days(store: Store, first: str, last: str) -> Days:
    """Return the stored rows of some days. Blocks; raises ``StoreError``."""
    return {day: SPEND.read(store, day) or () for day in days_between(first, last)}


def lines(
    days: Days, by: By, owners: Mapping[str, str], *, key: str | None = None, task: str | None = None
) -> list[SpentLine]:
    """Return a line for each name, the largest spending first; ``key`` and ``task`` choose the rows."""
    name = _names(owners)[by]
    named: dict[str, list[Spent]] = {}
    for rows in days.values():
        for row in rows:
            if key in (None, row.key) and task in (None, row.task):
                named.setdefault(name(row), []).append(row)
    made = [_line(title, rows) for title, rows in named.items()]
    return sorted(made, key=lambda line: (-line.usd, line.name))


def _names(owners: Mapping[str, str]) -> Mapping[By, Callable[[Spent], str]]:
    return {
        "key": lambda row: row.key,
        "owner": lambda row: owners.get(row.key, ""),
        "task": lambda row: row.task,
        "arm": lambda row: row.arm,
        "model": lambda row: row.model,
    }


def total(made: Sequence[SpentLine]) -> SpentLine:
    """Return the sum of some lines."""
    return SpentLine(
        name="total",
        requests=sum(line.requests for line in made),
        prompt_tokens=sum(line.prompt_tokens for line in made),
        output_tokens=sum(line.output_tokens for line in made),
        usd=sum(line.usd for line in made),
        saved_usd=sum(line.saved_usd for line in made),
    )


def _line(name: str, rows: Sequence[Spent]) -> SpentLine:
    row, *others = rows
    for other in others:
        row += other
    return SpentLine(
        name=name,
        requests=row.requests,
        prompt_tokens=row.prompt_tokens,
        output_tokens=row.output_tokens,
        usd=row.usd,
        saved_usd=row.strong_usd - row.usd,
    )
