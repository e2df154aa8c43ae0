"""The gateway's end of the recorder: keeps every exchange until the recorder has stored it. For one event loop.

Nothing here waits for the recorder but feedback, which is acknowledged only once it is stored.
"""

import asyncio
import contextlib
import itertools
import logging
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from gateway.background import Background
from gateway.domain import Exchange, Feedback
from gateway.errors import StoreError
from gateway.store.recorder.messages import (
    Failure,
    FeedbackAnswer,
    Judgement,
    RecorderState,
    Withdrawal,
    batch,
    encoded,
    exchanges_in,
    frame,
    received,
)
from gateway.store.selection import Address
from gateway.store.spool import Spool, keep

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[tuple[StreamReader, StreamWriter]]]
"""Opens a connection to the recorder; raises ``StoreError`` where there is none."""

LARGE = 1_000_000
"""Bytes of exchanges that are handed over without waiting for more."""
_SILENT = "the process that records does not answer: exchanges wait in memory"
_AWAY = "the process that records is not running: exchanges wait in memory"


class _Sent(NamedTuple):
    """A frame of exchanges that are not stored yet."""

    pieces: list[bytes]
    rows: int
    size: int
    """Bytes."""


class Outbox:
    """Implements ``gateway.store.base.Recorder`` over a connection to a recorder.

    Exchanges are handed over every ``linger_s`` seconds. Bounds of what is not stored yet: ``max_rows`` exchanges and
    ``max_bytes`` in their encoded form; beyond, exchanges are dropped and counted. ``deadline_s`` bounds the wait for
    a connection, ``answer_s`` the wait for the answer to feedback, ``close_s`` the wait at the end; ``spool`` gets the
    rest. Without a word for ``silence_s`` seconds the recorder counts as hung. ``pauses_s`` are the first and the
    longest pause before another connection.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        spool: Path | None,
        max_rows: int = 10_000,
        max_bytes: int = 128_000_000,
        linger_s: float = 0.1,
        deadline_s: float = 5.0,
        answer_s: float = 15.0,
        close_s: float = 8.0,
        silence_s: float = 15.0,
        pauses_s: tuple[float, float] = (0.1, 5.0),
    ) -> None:
        self.dropped = 0
        """Lost exchanges: over the bounds, or refused for their content."""
        self._error: str | None = None
        self._heard = 0.0
        """The time since which the recorder has had something to answer, or of its last message."""
        self._connect, self._pauses_s = connect, pauses_s
        self._spool = None if spool is None else Spool(spool)
        self._max_rows, self._max_bytes, self._linger_s = max_rows, max_bytes, linger_s
        self._deadline_s, self._answer_s, self._close_s = deadline_s, answer_s, close_s
        self._silence_s = silence_s
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unstored: deque[_Sent] = deque()
        self._rows = self._bytes = self._stored = 0
        self._writer: StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[FeedbackAnswer]] = {}
        self._numbers = itertools.count()
        self._closed = False

    @property
    def error(self) -> str | None:
        """The complaint of the store, or about the recorder; ``None`` while both work."""
        if self._error is None and self._unstored and self._loop.time() - self._heard > self._silence_s:
            return _SILENT
        return self._error

    @property
    def pending(self) -> int:
        """The number of exchanges that are not stored yet."""
        return self._rows

    @contextlib.asynccontextmanager
    async def running(self, background: Background) -> AsyncIterator[None]:
        """Hand over while the context is open; at its end everything is stored, in the spool, or counted as lost."""
        self._loop = asyncio.get_running_loop()
        self._answers, self._progress = asyncio.Event(), asyncio.Event()
        async with background.running("recorder", self._keep, pauses_s=self._pauses_s):
            try:
                yield
            finally:
                self._closed = True
                self._hand_over()
                if self._writer is not None:
                    self._writer.write_eof()
                await self._settled(self._close_s)
        rest = [exchange for sent in self._unstored for exchange in exchanges_in(sent.pieces)]
        self.dropped += await asyncio.to_thread(keep, self._spool, rest)

    def put(self, exchange: Exchange) -> None:
        """Take an exchange; never waits. Over the bounds it is dropped and counted."""
        if self._closed or self._rows >= self._max_rows:
            self.dropped += 1
            return
        try:
            body = encoded(exchange)
        except (UnicodeEncodeError, OverflowError) as error:
            self.dropped += 1
            what = type(error).__name__  # its text may quote the reply
            log.warning("exchange %s cannot be stored: %s", exchange.id, what, extra={"action": "exchange_refused"})
            return
        if self._bytes + len(body) > self._max_bytes:
            self.dropped += 1
            return
        self._batch.append(body)
        self._rows += 1
        self._bytes += len(body)
        self._batch_bytes += len(body)
        if self._batch_bytes >= LARGE:
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._linger_s, self._hand_over)

    async def feedback(self, feedback: Feedback, address: Address | None = None) -> str | None:
        """Store feedback behind everything taken before it. Returns the exchange's id, ``None`` for an unknown one.

        Raises ``StoreError`` if it could not be stored in time, or too many exchanges wait; then it is not stored later
        either. Only if the recorder dies over it, nobody knows: sent again, it may stand twice, as any client may
        repeat itself.
        """
        if self._closed or self._rows >= self._max_rows:
            raise StoreError(f"feedback cannot be stored now: {self.error or 'too many exchanges wait'}; send it again")
        number = next(self._numbers)
        message = frame(Judgement(number, feedback, address))
        self._hand_over()
        answer: asyncio.Future[FeedbackAnswer] = self._loop.create_future()
        self._asked[number] = answer
        sent = False
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._answers.wait()
            self._send([message])
            sent = True
            await asyncio.wait([answer], timeout=self._answer_s)
            judged = answer.result()
        except (TimeoutError, asyncio.InvalidStateError):
            why = self.error or "the recorder did not answer in time"
            raise StoreError(f"feedback was not stored: {why}; send it again") from None
        finally:
            del self._asked[number]
            if sent and not answer.done():
                self._send([frame(Withdrawal(number))])
        if judged.failure is not None:
            raise judged.failure.error()
        return judged.exchange_id

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken so far is stored; ``False`` after ``timeout_s`` seconds. For other threads."""

        async def flushed() -> bool:
            self._hand_over()
            return await self._settled(timeout_s)

        return asyncio.run_coroutine_threadsafe(flushed(), self._loop).result()

    async def _settled(self, timeout_s: float) -> bool:
        target = self._stored + len(self._unstored)
        try:
            async with asyncio.timeout(timeout_s):
                while self._stored < target:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    def _hand_over(self) -> None:
        """Send the waiting exchanges in one write."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batch:
            sent = _Sent(batch(self._batch), len(self._batch), self._batch_bytes)
            self._batch, self._batch_bytes = [], 0
            if not self._unstored:
                self._heard = self._loop.time()
            self._unstored.append(sent)
            self._send(sent.pieces)

    def _send(self, pieces: list[bytes]) -> None:
        """Write without waiting: the memory of the connection is that of ``_unstored``, which is bounded."""
        if self._writer is not None:
            self._writer.writelines(pieces)

    async def _keep(self) -> None:
        """Work over a connection to its end. Raises ``StoreError`` if there is more to do."""
        try:
            async with self._connect() as (reader, writer):
                writer.writelines([piece for sent in self._unstored for piece in sent.pieces])
                if self._closed:
                    writer.write_eof()
                self._writer = writer
                while (message := await received(reader)) is not None:
                    if isinstance(message, RecorderState):
                        self._advance(message)
                    elif isinstance(message, FeedbackAnswer):
                        self._answer(message)
        finally:
            self._lose()
        if not self._closed or self._unstored:
            raise StoreError(_AWAY)

    def _answer(self, judged: FeedbackAnswer) -> None:
        answer = self._asked.get(judged.number)
        if answer is not None and not answer.done():
            answer.set_result(judged)

    def _advance(self, progress: RecorderState) -> None:
        self._error, self._heard = progress.error, self._loop.time()
        self._answers.set()
        self.dropped += progress.dropped
        for _ in range(progress.frames):
            sent = self._unstored.popleft()
            self._rows -= sent.rows
            self._bytes -= sent.size
        self._stored += progress.frames
        self._progress.set()

    def _lose(self) -> None:
        """Note the end of a connection."""
        self._writer = None
        self._error = _AWAY
        self._answers.clear()
        lost = Failure("StoreError", f"feedback may not be stored: {_AWAY}; send it again")
        for number in self._asked:
            self._answer(FeedbackAnswer(number, failure=lost))
