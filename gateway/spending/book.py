"""Spending by day, key, task, arm and model: counted in memory, and added to the store every second.

One note a day, ``spend/2027-01-31``, is shared by every gateway on the store and by the process that learns. It holds
names and numbers, no texts, and outlives the exchanges. A killed gateway loses its last second of it.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from gateway.domain import Usage, Value
from gateway.errors import StoreError
from gateway.quotas.meter import Kind
from gateway.store.base import Store
from gateway.store.notes import Note, change_note

LEARNING = "learning"
"""The arm of calls for learning: they answer no client."""
_DAY_S = 86_400

Place = tuple[str, str, str, str]
"""Key, task, arm and model; empty without one."""


class Spent(Value, frozen=True, array_like=True):
    """The spending of a day in one place."""

    key: str
    task: str
    arm: str
    model: str
    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    strong_usd: float = 0.0
    """The price of the same tokens with the task's strong model; equal to ``usd`` without a task."""

    @property
    def place(self) -> Place:
        """The key of the row in its day."""
        return self.key, self.task, self.arm, self.model

    def __add__(self, other: "Spent") -> "Spent":
        return msgspec.structs.replace(
            self,
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            usd=self.usd + other.usd,
            strong_usd=self.strong_usd + other.strong_usd,
        )


SPEND = Note("spend", tuple[Spent, ...])
_decoder = msgspec.json.Decoder(tuple[Spent, ...])

Days = Mapping[str, Sequence[Spent]]
"""Rows by day, such as ``2027-01-31``."""


class SpendBook:
    """The spending that is not in the store yet. For a single event loop."""

    def __init__(self) -> None:
        self._days: dict[tuple[int, Place], list[float]] = {}

    def add(self, now: float, place: Place, usage: Usage, usd: float, strong_usd: float | None = None) -> None:
        """Count a request; ``now`` is its end, in seconds since the epoch."""
        row = self._days.get((int(now) // _DAY_S, place))
        if row is None:
            row = self._days[int(now) // _DAY_S, place] = [0, 0, 0, 0.0, 0.0]
        row[0] += 1
        row[1] += usage.prompt_tokens
        row[2] += usage.output_tokens
        row[3] += usd
        row[4] += usd if strong_usd is None else strong_usd

    def take(self) -> Days:
        """Return what was counted and begin anew."""
        taken, self._days = self._days, {}
        days: dict[str, list[Spent]] = defaultdict(list)
        for (day, place), row in taken.items():
            numbers = {"requests": int(row[0]), "prompt_tokens": int(row[1]), "output_tokens": int(row[2])}
            key, task, arm, model = place
            days[_day_name(day)].append(
                Spent(key=key, task=task, arm=arm, model=model, usd=row[3], strong_usd=row[4], **numbers)
            )
        return days

    def put_back(self, days: Days) -> None:
        """Count again what could not be stored."""
        for name, rows in days.items():
            day = (dt.date.fromisoformat(name) - dt.date(1970, 1, 1)).days
            for spent in rows:
                row = self._days.setdefault((day, spent.place), [0, 0, 0, 0.0, 0.0])
                for at, count in enumerate(
                    (spent.requests, spent.prompt_tokens, spent.output_tokens, spent.usd, spent.strong_usd)
                ):
                    row[at] += count


def _day_name(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def day_of(now: float) -> str:
    """Return the day of a time, in UTC."""
    return _day_name(int(now) // _DAY_S)


def added(rows: Iterable[Spent]) -> tuple[Spent, ...]:
    """Return a row for each place, with its rows added up."""
    places: dict[Place, Spent] = {}
    for row in rows:
        known = places.get(row.place)
        places[row.place] = row if known is None else known + row
    return tuple(places.values())


def store_days(store: Store, days: Days) -> None:
    """Add rows to the store; of two processes at once none loses any. Blocks; raises ``StoreError``."""
    for day, rows in days.items():
        _add(store, day, rows)


def _add(store: Store, day: str, rows: Sequence[Spent]) -> None:
    def more(before: bytes | None) -> bytes:
        try:
            known = () if before is None else _decoder.decode(before)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"the spending of {day} is in a form of another version: {error}") from error
        return msgspec.json.encode(added([*known, *rows]))

    change_note(store, SPEND.key(day), more, "the spending was")


def rows_of(days: Days, first: str, kind: Kind, name: str) -> list[Spent]:
    """Return the rows from a day on of a key, or of a task with its learning."""
    return [
        row
        for day, rows in days.items()
        if day >= first
        for row in rows
        if (row.task if kind == "task" else row.key) == name
    ]


def days_between(first: str, last: str) -> Iterator[str]:
    """Yield the days from the first to the last."""
    day, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += dt.timedelta(days=1)
