"""Reads the recorded exchanges, once and in order, and writes feedback on replies with signs of failure.

The position is a note in the store: a killed reader begins there again, and feedback given twice counts once. A
database without the note is read from its newest ``LOOK_BACK`` exchanges on, because old signs of failure decide
nothing any more. Does not call models.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from gateway.context import LearnerContext
from gateway.domain import Exchange, Feedback
from gateway.store.base import Store
from gateway.store.notes import SWEEP_POSITION
from optimizer.monitoring.bookkeeping import Bookkeeper
from optimizer.monitoring.signals.recent import MOST, Recent
from optimizer.monitoring.signals.reply import signals

PAGE = 100
"""Exchanges of a reading, or fewer: the store ends a page of large ones (``selection.PAGE_BYTES``)."""
PAGES = 100
"""Pages of one look. The next look reads the rest."""
LOOK_BACK = 10_000
"""Newest exchanges to begin with in a database without a note."""
ASKED_AGAIN = "asked_again"
"""The sign of a repeated question; the other signs are ``signals.reply``'s."""


class ExchangeSink(Protocol):
    """A consumer of every exchange, in the order of recording."""

    def offer(self, exchange: Exchange, position: int) -> None:
        """Take an exchange, or not. ``position`` lies at or before it in the store."""

    @property
    def needed_from(self) -> int | None:
        """The lowest position still needed by a queued exchange; ``None`` without a queue."""


class Observer:
    """A reader of the store's traffic, and its position there."""

    def __init__(self, context: LearnerContext, sink: ExchangeSink, books: Bookkeeper | None = None) -> None:
        self._context = context
        self._sink = sink
        self._books = books or Bookkeeper(context)
        self._recent = Recent()
        self._position: int | None = None
        self._noted: int | None = None

    async def observe(self) -> None:
        """Read new exchanges and record their signs. Raises ``StoreError``; the next look goes on from there."""
        store, tasks = self._context.store, self._context.settings.tasks.keys()
        self._position = position = await asyncio.to_thread(self._start)
        for _ in range(PAGES):
            page, after = await asyncio.to_thread(store.recorded, position, limit=PAGE)
            if not page:
                break
            await asyncio.to_thread(_record_signs, store, page, tasks)
            await asyncio.to_thread(self._books.add, page, position, after)
            self._recent.add(page)
            for exchange in page:
                self._sink.offer(exchange, position)
            self._position = position = after
        await self._save(position)
        await asyncio.to_thread(self._record_asked_again, tasks)

    async def _save(self, position: int) -> None:
        needed_from = self._sink.needed_from
        done = position if needed_from is None else min(position, needed_from)
        if done != self._noted:
            await asyncio.to_thread(SWEEP_POSITION.write, self._context.store, done)
            self._noted = done

    def _start(self) -> int:
        """Return the position to read from: this reader's own, the note's, or near the end. Blocks.

        A position with no row at it or behind it is lost: rows were deleted or renumbered, and new ones begin before
        it.
        """
        store = self._context.store
        if self._position is not None and not _is_lost(store, self._position):
            return self._position
        self._noted = SWEEP_POSITION.read(store)
        if self._noted is None or _is_lost(store, self._noted):
            position = max(0, _end(store) - LOOK_BACK)
        else:
            position = self._noted
        self._fill_recent(position)
        return position

    def _fill_recent(self, position: int) -> None:
        """Load the exchanges shortly before a position: their questions may be asked again."""
        before = max(0, position - MOST)
        while before < position:
            page, before = self._context.store.recorded(before, limit=min(PAGE, position - before))
            self._recent.add(page)
            if not page:
                return

    def _record_asked_again(self, tasks: Collection[str]) -> None:
        again = self._recent.repeated_questions(self._context.wall_clock())
        for exchange in again:
            if exchange.task in tasks:
                _record(self._context.store, exchange, ASKED_AGAIN)
        self._recent.mark_reported(again)


def _record_signs(store: Store, page: Sequence[Exchange], tasks: Collection[str]) -> None:
    for exchange in page:
        if exchange.task in tasks and exchange.arm != "shadow":
            signs = signals(exchange)
            if signs:
                _record(store, exchange, ",".join(signs))


def _record(store: Store, exchange: Exchange, signs: str) -> None:
    store.add_feedback(
        Feedback(
            exchange_id=exchange.id, created=exchange.created, correct=False, comment=signs, source="outcome",
        )
    )  # fmt: skip


def _is_lost(store: Store, position: int) -> bool:
    return position > 0 and not store.recorded(position - 1, limit=1)[0]


def _end(store: Store) -> int:
    """Return the end of the store's traffic, by doubling and halving: some fifty readings of one row."""
    low, high = 0, 1
    while store.recorded(high, limit=1)[0]:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if store.recorded(middle, limit=1)[0] else (low, middle)
    return high
