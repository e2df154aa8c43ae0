"""A bounded queue in front of a store: no request waits for a database.

One thread writes the queue in order and in batches. While the store fails, the batch stays at the head of the queue and
is tried again. Entries beyond the bounds are dropped and counted.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from itertools import islice
from pathlib import Path

import msgspec

from gateway.background import Background
from gateway.domain import Exchange, Feedback
from gateway.errors import StoreError
from gateway.store.base import Store
from gateway.store.selection import Address
from gateway.store.spool import Spool, keep

log = logging.getLogger(__name__)

FLUSH_S = 5.0
"""Seconds to store the queue when a gateway stops."""
BATCH_BYTES = 4_000_000
"""Bytes at which a batch ends: a longer transaction holds up feedback behind it, and takes memory."""
JOIN_S = 1.0
"""Seconds for the thread to come back from the store after ``close`` has run out of time."""


class _Ticket:
    """Feedback on its way, and the answer for its sender."""

    def __init__(self, feedback: Feedback, address: Address | None) -> None:
        self.feedback: Feedback | None = feedback
        self.address = address
        """``None`` once the sender has given up: then it must not be written."""
        self.attempting = False
        """The store is at work on it: only the store's answer decides."""
        self.answer: Future[str | Exception | None] = Future()


class Writer:
    """Takes exchanges and feedback from any thread and writes them to a store.

    ``spool`` is the file for the exchanges that ``close`` could not write; the next ``start`` of any process reads it
    back. Bounds: ``max_rows`` entries and ``max_bytes`` of requests and replies. A batch has up to ``batch_rows``
    exchanges of ``BATCH_BYTES`` together, or the entries of ``linger_s`` seconds. ``backoff_s`` is the first and the
    longest pause between attempts. ``deadline_s`` bounds the wait for feedback to be stored. ``on_change`` is called by
    the thread after each attempt.
    """

    def __init__(
        self,
        store: Store,
        *,
        spool: Path | None,
        max_rows: int = 10_000,
        max_bytes: int = 256_000_000,
        batch_rows: int = 500,
        linger_s: float = 0.05,
        backoff_s: tuple[float, float] = (0.1, 5.0),
        deadline_s: float = 5.0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.dropped = 0
        """Lost exchanges: over the bounds, or refused by the store for their content."""
        self.written = 0
        """Exchanges in the store, those from the spool included."""
        self.error: str | None = None
        """The store's last complaint; ``None`` while it works."""
        self._store = store
        self._spool = None if spool is None else Spool(spool)
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._batch_rows, self._linger_s = batch_rows, linger_s
        self._backoff_s, self._deadline_s, self._on_change = backoff_s, deadline_s, on_change
        # Everything below is guarded by the lock, held for moments only: the event loop takes it, too.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue: deque[Exchange | _Ticket | Spool] = deque()  # the head stays until it is written
        self._bytes = 0
        self._done = 0
        self._idle = False
        self._hurry = False  # somebody waits: do not linger
        self._nudged = False  # somebody has little time: try at once
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    @property
    def pending(self) -> int:
        """The number of entries in the queue."""
        return len(self._queue)

    @property
    def done(self) -> int:
        """The number of entries that have left the queue since the start."""
        return self._done

    @property
    def taken(self) -> int:
        """The number of entries that have come into the queue since the start."""
        with self._lock:
            return self._done + len(self._queue)

    @contextlib.asynccontextmanager
    async def running(self, background: Background) -> AsyncIterator[None]:
        """Write while the context is open, and flush at its end."""
        self.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.close, FLUSH_S)

    def start(self) -> None:
        """Start the thread; the spools of earlier processes are written first."""
        with self._lock:
            self._queue.extendleft(reversed(self._spool.left() if self._spool is not None else []))
        self._thread.start()

    def put(self, exchange: Exchange) -> None:
        """Queue an exchange; never waits. Over the bounds it is dropped and counted."""
        size = _size(exchange)
        with self._lock:
            if self._stopped or len(self._queue) >= self._max_rows or self._bytes + size > self._max_bytes:
                self.dropped += 1
                return
            self._queue.append(exchange)
            self._bytes += size
            if self._idle:
                self._idle = False
                self._changed.notify_all()

    async def feedback(self, feedback: Feedback, address: Address | None = None) -> str | None:
        """Store feedback behind everything queued before it. Returns the exchange's id, ``None`` for an unknown one.

        With an address the thread finds the exchange, once it is written.

        Raises ``StoreError`` if it could not be stored within the deadline (an attempt under way is waited for),
        the queue is full, or the writer is closed; then it is not stored later either.
        """
        ticket = _Ticket(feedback, address)
        with self._lock:
            if self._stopped or len(self._queue) >= self._max_rows:
                raise StoreError(f"feedback cannot be queued now: {self.error or 'the queue is full'}; send it again")
            self._queue.append(ticket)
            self._hurry = True
            self._changed.notify_all()
        answer = asyncio.wrap_future(ticket.answer)
        try:
            await asyncio.wait([answer], timeout=self._deadline_s)
            self._give_up(ticket)
            await asyncio.wait([answer])
        finally:
            self._give_up(ticket)
        result = answer.result()
        if isinstance(result, Exception):
            raise result
        return result

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is written; ``False`` after ``timeout_s`` seconds."""
        with self._changed:
            target = self._done + len(self._queue)
            self._hurry = self._nudged = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._done >= target, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Flush for ``timeout_s`` seconds at most; the rest goes to the spool. The store stays open."""
        self.flush(timeout_s)
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)
        with self._lock:
            rest = list(self._queue)
        for entry in rest:
            if isinstance(entry, _Ticket):
                self._give_up(entry)
        self.dropped += keep(self._spool, [entry for entry in rest if isinstance(entry, Exchange)])

    def _give_up(self, ticket: _Ticket) -> None:
        """Answer for the store, unless it is at work on the ticket or has answered."""
        with self._lock:
            ticket.feedback = None
            if not ticket.attempting and not ticket.answer.done():
                why = self.error or "the store did not answer in time"
                ticket.answer.set_result(StoreError(f"feedback was not stored: {why}; send it again"))

    def _run(self) -> None:
        first, longest = self._backoff_s
        delay = first
        while (batch := self._next()) is not None:
            try:
                self._write(batch)
            except StoreError as error:
                self._failed(error, delay)
                delay = min(delay * 2, longest)
            else:
                self._finished(batch)
                delay = first
            self._on_change()

    def _next(self) -> list[Exchange] | _Ticket | Spool | None:
        """Wait for work and return the head of the queue: exchanges up to the next ticket, or a single other entry."""
        with self._changed:
            self._idle = True
            self._changed.wait_for(lambda: self._queue or self._stopped)
            self._idle = False
            if len(self._queue) < self._batch_rows:
                self._changed.wait_for(lambda: self._hurry or self._stopped, self._linger_s)
            if self._stopped:
                return None
            head = self._queue[0]
            if not isinstance(head, Exchange):
                return head
            batch: list[Exchange] = []
            bytes_ = 0
            for entry in islice(self._queue, self._batch_rows):
                if not isinstance(entry, Exchange) or bytes_ >= BATCH_BYTES:
                    break
                batch.append(entry)
                bytes_ += _size(entry)
            return batch

    def _write(self, batch: list[Exchange] | _Ticket | Spool) -> None:
        if isinstance(batch, _Ticket):
            self._answer(batch)
        elif isinstance(batch, Spool):
            self._replay(batch)
        else:
            self._record(batch)

    def _record(self, batch: list[Exchange]) -> None:
        """Record a batch. An exchange refused for its content (a lone surrogate, a huge number) must not hold it up."""
        try:
            self._store.record(batch)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the thread must live on
            if len(batch) > 1:
                for exchange in batch:
                    self._record([exchange])
                return
            self.dropped += 1
            what = type(error).__name__  # its text may quote the reply
            log.warning("exchange %s cannot be stored: %s", batch[0].id, what, extra={"action": "exchange_refused"})
        else:
            self.written += len(batch)

    def _answer(self, ticket: _Ticket) -> None:
        with self._lock:
            feedback = ticket.feedback
            if feedback is None:
                return
            ticket.attempting = True
        answer: str | Exception | None
        try:
            answer = self._add(feedback, ticket.address)
        except StoreError:
            with self._lock:
                ticket.attempting = False
                given_up = ticket.feedback is None
            if given_up:
                self._give_up(ticket)
            raise
        except Exception as error:  # noqa: BLE001 - its sender hears of it, and the thread must live on
            answer = error
        ticket.answer.set_result(answer)

    def _add(self, feedback: Feedback, address: Address | None) -> str | None:
        """Store feedback on the exchange at an address; returns the exchange's id."""
        id_ = feedback.exchange_id if address is None else self._store.find(address)
        if id_ is None or not self._store.add_feedback(msgspec.structs.replace(feedback, exchange_id=id_)):
            return None
        return id_

    def _replay(self, spool: Spool) -> None:
        try:
            with spool.taken() as mine:
                exchanges = spool.read() if mine else iter(())
                while not self._stopped and (batch := list(islice(exchanges, self._batch_rows))):
                    self._record(batch)
                if mine and not self._stopped:
                    spool.remove()
        except OSError as error:
            log.warning("%s cannot be read back: %s", spool.path, error, extra={"action": "spool_failed"})

    def _failed(self, error: StoreError, delay: float) -> None:
        if self.error is None:
            log.warning("the store fails, retrying: %s", error, extra={"action": "store_failed"})
        with self._changed:
            self.error = error.message
            self._changed.wait_for(lambda: self._nudged or self._stopped, delay)
            self._nudged = False

    def _finished(self, batch: list[Exchange] | _Ticket | Spool) -> None:
        if self.error is not None:
            log.info("the store works again", extra={"action": "store_recovered"})
        exchanges = batch if isinstance(batch, list) else []
        with self._changed:
            self.error = None
            rows = len(exchanges) or 1
            for _ in range(rows):
                self._queue.popleft()
            self._bytes -= sum(map(_size, exchanges))
            self._done += rows
            if not self._queue:
                self._hurry = self._nudged = False
            self._changed.notify_all()


def _size(exchange: Exchange) -> int:
    return len(exchange.request) + len(exchange.reply or "")
