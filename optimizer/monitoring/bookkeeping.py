"""Keeps the day books: every exchange that the observer reads, and every judgement, once. Calls no model."""

import asyncio
from collections.abc import Sequence

from gateway.context import LearnerContext
from gateway.domain import Exchange
from gateway.settings.models import Price
from gateway.store.base import Arrived
from gateway.store.notes import Note
from optimizer.monitoring.daybook import DAYS, DayBook, with_exchanges, with_labels

LABELS_READ = Note("days", int)
"""The position up to which all judgements were read."""
_PAGE = 500
_PAGES = 20
_PATIENCE_S = 3600.0
"""Seconds for which an expected answer may wait for its verdict; other judgements wait behind it."""


class Bookkeeper:
    """The only writer of day books, in the process that learns."""

    def __init__(self, context: LearnerContext) -> None:
        self._context = context
        self._books: dict[str, DayBook] = {}
        self._changed: set[str] = set()
        self._labels: int | None = None

    def add(self, page: Sequence[Exchange], start: int, until: int) -> None:
        """Book a page of exchanges, read from position ``start``. Blocks on the store for books not read yet."""
        settings = self._context.settings
        for task in {exchange.task for exchange in page}:
            if task is None or task not in settings.tasks or start < self._book(task).exchanges_until:
                continue
            strong = settings.models.get(settings.tasks[task].strong)
            price = Price() if strong is None else strong.price
            mine = [exchange for exchange in page if exchange.task == task]
            self._keep(task, with_exchanges(self._book(task), mine, until, price))

    async def work(self) -> None:
        """Book the new judgements, and write every changed book. Raises ``StoreError``."""
        await asyncio.to_thread(self._work)

    def _work(self) -> None:
        store = self._context.store
        position = self._labels if self._labels is not None else LABELS_READ.read(store) or 0
        for _ in range(_PAGES):
            page = self._settled(store.judgements(position, limit=_PAGE))
            if not page:
                break
            position = page[-1].position
            self._book_labels(page, position)
        for task in sorted(self._changed):
            DAYS.write(store, self._books[task], task)
            self._changed.discard(task)
        if position != self._labels:
            LABELS_READ.write(store, position)
            self._labels = position

    def _settled(self, page: Sequence[Arrived]) -> list[Arrived]:
        """Return the judgements before the first for which the grader still has time."""
        now, settled = self._context.wall_clock(), list[Arrived]()
        for entry in page:
            given = entry.feedback
            waits = given.is_correct is None and given.expected is not None and given.verdict_at is None
            if waits and now - given.created < _PATIENCE_S:
                break
            settled.append(entry)
        return settled

    def _book_labels(self, page: Sequence[Arrived], until: int) -> None:
        for task in {entry.task for entry in page} & self._context.settings.tasks.keys():
            mine = [entry for entry in page if entry.task == task]
            self._keep(task, with_labels(self._book(task), mine, until))

    def _book(self, task: str) -> DayBook:
        if task not in self._books:
            self._books[task] = DAYS.read(self._context.store, task) or DayBook()
        return self._books[task]

    def _keep(self, task: str, book: DayBook) -> None:
        self._books[task] = book
        self._changed.add(task)
