"""Reads what was recorded, once and in order, and writes down which replies show signs of failure.

Where it stands is a note in the store: a reader that was killed begins there again, and what it says twice counts
once. On a database without the note it begins at the newest ``LOOK_BACK`` exchanges, because signs of failure from long
ago decide nothing any more. Does not call models.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from gateway.domain import Exchange, Feedback
from gateway.services import Services
from gateway.store.base import Store
from optimizer.monitoring.signals.recent import MOST, Recent
from optimizer.monitoring.signals.reply import signals

NOTE = "sweep/position"
"""The position in the store up to which nothing needs to be read again, as a decimal number."""
PAGE = 100
"""Exchanges that are read at once: their bodies may be large."""
PAGES = 100
"""Pages of one look. What is left is read by the next one."""
LOOK_BACK = 10_000
"""Exchanges from which a database is read that was never read before."""
ASKED_AGAIN = "asked_again"
"""The signal that the question was asked again; the others are ``signals``'s."""


class ExchangeSink(Protocol):
    """Somebody who is offered every exchange, in the order of recording."""

    def offer(self, exchange: Exchange, position: int) -> None:
        """``position`` is one from which the exchange can be read again."""

    @property
    def held(self) -> int | None:
        """The lowest position from which something that was offered is still needed."""


class Observer:
    """A reader of the store's traffic, and its place in it."""

    def __init__(self, services: Services, taker: ExchangeSink) -> None:
        self._services = services
        self._taker = taker
        self._recent = Recent()
        self._position: int | None = None
        self._noted: int | None = None

    async def observe(self) -> None:
        """Read what is new and write what it shows. Raises ``StoreError``; the next look then goes on from there."""
        store, tasks = self._services.store, self._services.settings.tasks.keys()
        position = await asyncio.to_thread(self._place)
        for _ in range(PAGES):
            page, after = await asyncio.to_thread(store.recorded, position, limit=PAGE)
            await asyncio.to_thread(_record_signs, store, page, tasks)
            self._recent.add(page)
            for exchange in page:
                self._taker.offer(exchange, position)
            position = after
            self._position = position
            if len(page) < PAGE:
                break
        await self._save(position)
        await asyncio.to_thread(self._record_asked_again, tasks)

    async def _save(self, position: int) -> None:
        held = self._taker.held
        done = position if held is None else min(position, held)
        if done != self._noted:
            await asyncio.to_thread(self._services.store.put_note, NOTE, str(done).encode())
            self._noted = done

    def _place(self) -> int:
        """From where to read: where this reader stands, or by the note, or near the end. Blocks.

        A place with nothing at it or behind it is lost: the rows were deleted or renumbered, and new ones begin before.
        """
        store = self._services.store
        if self._position is not None and not _is_lost(store, self._position):
            return self._position
        note = store.note(NOTE)
        self._noted = int(note) if note is not None else None
        if self._noted is None or _is_lost(store, self._noted):
            position = max(0, _end(store) - LOOK_BACK)
        else:
            position = self._noted
        self._fill_recent(position)
        return position

    def _fill_recent(self, position: int) -> None:
        """Take up what came shortly before: somebody may ask it again."""
        before = max(0, position - MOST)
        while before < position:
            page, before = self._services.store.recorded(before, limit=min(PAGE, position - before))
            self._recent.add(page)
            if not page:
                return

    def _record_asked_again(self, tasks: Collection[str]) -> None:
        again = self._recent.repeated_questions(self._services.wall_clock())
        for exchange in again:
            if exchange.task in tasks:
                _record(self._services.store, exchange, ASKED_AGAIN)
        self._recent.told(again)


def _record_signs(store: Store, page: Sequence[Exchange], tasks: Collection[str]) -> None:
    for exchange in page:
        if exchange.task in tasks and exchange.arm != "shadow":
            found = signals(exchange)
            if found:
                _record(store, exchange, ",".join(found))


def _record(store: Store, exchange: Exchange, found: str) -> None:
    store.add_feedback(
        Feedback(
            exchange_id=exchange.id, created=exchange.created, correct=False, comment=found, source="outcome",
        )
    )  # fmt: skip


def _is_lost(store: Store, position: int) -> bool:
    return position > 0 and not store.recorded(position - 1, limit=1)[0]


def _end(store: Store) -> int:
    """A position behind which there is nothing, found by doubling and halving: some fifty readings of one row."""
    low, high = 0, 1
    while store.recorded(high, limit=1)[0]:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if store.recorded(middle, limit=1)[0] else (low, middle)
    return high
