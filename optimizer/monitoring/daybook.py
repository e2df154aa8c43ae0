"""The book of a task's days: requests, money and labelled replies of each day, kept as they arrive. Pure.

Pages for people read it: nothing is ever counted for them. A book knows up to which position it has seen, so an
exchange or a judgement that is read twice counts once; after a kill a few may be missing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.domain import Exchange, Value
from gateway.prices import cost_usd
from gateway.settings.models import Price
from gateway.store.base import Arrived
from gateway.store.notes import Note

DAY_S = 86400
KEPT = 90
"""Days of a book."""
BY_WEAK = frozenset({"weak", "canary", "holdback"})


class LabelledReplies(Value, frozen=True):
    """The labelled replies of the weak model with a version, on one day; audited ones apart."""

    version: int | None
    audited: int = 0
    audited_right: int = 0
    others: int = 0
    """Labels of clients' own accord, outside the audit sample: they may be chosen by their outcome."""
    others_right: int = 0


class BookedDay(Value, frozen=True):
    """One day, in UTC."""

    day: int
    """Days since the epoch."""
    exchanges: int = 0
    errors: int = 0
    by_weak: int = 0
    """Exchanges answered by the weak model."""
    cost: float = 0.0
    """USD, by the configured prices."""
    saved: float = 0.0
    """USD: the strong model's price for the same tokens less the cost, for exchanges of the weak model."""
    labels: tuple[LabelledReplies, ...] = ()


class DayBook(Value, frozen=True):
    """The newest days of a task, oldest first."""

    exchanges_until: int = 0
    """Position in the order of recording."""
    labels_until: int = 0
    """Position among all judgements."""
    days: tuple[BookedDay, ...] = ()

    def since(self, day: int) -> tuple[BookedDay, ...]:
        """Return the days from a day on."""
        return tuple(booked for booked in self.days if booked.day >= day)


DAYS = Note("days", DayBook)


def with_exchanges(book: DayBook, exchanges: Iterable[Exchange], until: int, strong: Price) -> DayBook:
    """Return the book after a task's exchanges up to a position."""
    days = {booked.day: booked for booked in book.days}
    for exchange in exchanges:
        if exchange.arm == "shadow":
            continue
        day = int(exchange.created // DAY_S)
        before, weak = days.get(day, BookedDay(day=day)), exchange.arm in BY_WEAK
        days[day] = msgspec.structs.replace(
            before,
            exchanges=before.exchanges + 1,
            errors=before.errors + (exchange.status == "error"),
            by_weak=before.by_weak + weak,
            cost=before.cost + (exchange.cost_usd or 0.0),
            saved=before.saved + (_saved(exchange, strong) if weak else 0.0),
        )
    return msgspec.structs.replace(book, exchanges_until=until, days=_newest(days.values()))


def with_labels(book: DayBook, judged: Sequence[Arrived], until: int) -> DayBook:
    """Return the book after a task's judgements up to a position; those without a verdict count nowhere."""
    days = {booked.day: booked for booked in book.days}
    for entry in judged:
        right = entry.feedback.is_correct
        if entry.position <= book.labels_until or right is None or entry.exchange.arm not in BY_WEAK:
            continue
        day = int(entry.exchange.created // DAY_S)
        before = days.get(day, BookedDay(day=day))
        days[day] = msgspec.structs.replace(before, labels=_labelled(before.labels, entry, right))
    return msgspec.structs.replace(book, labels_until=until, days=_newest(days.values()))


def _labelled(labels: Sequence[LabelledReplies], entry: Arrived, right: bool) -> tuple[LabelledReplies, ...]:
    version, audited = entry.exchange.rules, entry.exchange.audit_rate > 0
    before = next((known for known in labels if known.version == version), LabelledReplies(version=version))
    after = msgspec.structs.replace(
        before,
        audited=before.audited + audited,
        audited_right=before.audited_right + (audited and right),
        others=before.others + (not audited),
        others_right=before.others_right + (right and not audited),
    )
    rest = [known for known in labels if known.version != version]
    return tuple(sorted([*rest, after], key=lambda known: known.version or 0))


def _saved(exchange: Exchange, strong: Price) -> float:
    would_be = cost_usd(strong, exchange.usage)
    return 0.0 if would_be is None or exchange.cost_usd is None else would_be - exchange.cost_usd


def _newest(days: Iterable[BookedDay]) -> tuple[BookedDay, ...]:
    return tuple(sorted(days, key=lambda booked: booked.day)[-KEPT:])
