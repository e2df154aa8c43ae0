"""The recorder: ``python -m gateway.store.recorder.child DATA_DIR connection|listener FD``, started by ``parent``.

``FD`` is a connection to the only gateway, or a listener for several; then the end of stdin is the end of new ones. The
first line of stdin is ``server.store``, empty for SQLite. The recorder lets signals for the gateway pass: it ends when
the last connection ended and everything is stored or spooled.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import Counter, deque
from pathlib import Path

from gateway import heap
from gateway.errors import PreceptorError, StoreError
from gateway.store.base import Store
from gateway.store.recorder.messages import (
    Exchanges,
    Failure,
    FeedbackAnswer,
    Judgement,
    RecorderState,
    ToGateway,
    Withdrawal,
    frame,
    received,
)
from gateway.store.spool import SPOOL
from gateway.store.writer import FLUSH_S, Writer

log = logging.getLogger(__name__)

LARGE = 2**20
"""Bytes that are read ahead of a frame."""
NICE = 5
"""How much recording gives way on a core that it shares with those who are served."""


def main() -> None:
    """Record until the last gateway is gone. Exits with status 1 if the store cannot be opened."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # what is sent to all is for the gateway
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        os.nice(NICE)
    from gateway import logs  # a signal must not come before this process lets it pass
    from gateway.store.sql import SqlStore

    heap.keep_small()
    logs.configure()
    data_dir, kind, descriptor = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    line = sys.stdin.buffer.readline().decode()
    if not line.endswith("\n"):
        sys.exit("preceptor: nothing can be recorded: the gateway is gone before it named the store")
    try:
        with (
            contextlib.closing(SqlStore.open(data_dir, line.rstrip("\n") or None)) as store,
            socket.socket(fileno=descriptor) as end,
        ):
            heap.collect_rarely()
            asyncio.run(record(store, data_dir / SPOOL, end, listens=kind == "listener"))
    except StoreError as error:
        sys.exit(f"preceptor: nothing can be recorded: {error}")


async def record(store: Store, spool: Path, end: socket.socket, *, listens: bool) -> None:
    """Record for the gateway behind a connection, or for all who connect until stdin ends."""
    recorder = RecordingProcess(store, spool)
    following = asyncio.create_task(heap.follow())
    if listens:
        accepting = asyncio.create_task(_accept(end, recorder))
        await asyncio.to_thread(sys.stdin.buffer.read)
        accepting.cancel()
    else:
        await recorder.serve(end)
    await recorder.close(FLUSH_S)
    following.cancel()


async def _accept(listener: socket.socket, recorder: "RecordingProcess") -> None:
    """Serve everybody who connects, without end."""
    listener.setblocking(False)
    serving: set[asyncio.Task[None]] = set()
    while True:
        end, _ = await asyncio.get_running_loop().sock_accept(listener)
        task = asyncio.create_task(recorder.serve(end))
        serving.add(task)
        task.add_done_callback(serving.discard)


class _Gateway:
    """A connected gateway.

    Reading and writing know nothing of each other: a gateway that was killed hears no answer, and everything that it
    sent before is read all the same. A transport of asyncio's would give up both.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.frames = 0
        """Frames of exchanges that are not stored yet."""
        self.gone = False
        """Nothing more comes from it; it still waits for the progress of its frames."""
        self.reader = asyncio.StreamReader(LARGE)
        self._end = end
        self._messages: asyncio.Queue[ToGateway | None] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    def send(self, message: ToGateway) -> None:
        self._messages.put_nowait(message)

    def cut(self) -> None:
        """End the connection after the last message."""
        self._messages.put_nowait(None)

    async def ended(self) -> None:
        """Return when the connection has ended."""
        await asyncio.gather(*self._tasks)

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := await asyncio.get_running_loop().sock_recv(self._end, LARGE):
                self.reader.feed_data(data)
        self.reader.feed_eof()

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (message := await self._messages.get()) is not None:
                await asyncio.get_running_loop().sock_sendall(self._end, frame(message))
        self._end.close()


class RecordingProcess:
    """Writes what gateways send to a store, and tells each of its progress. ``spool`` as for ``Writer``."""

    def __init__(self, store: Store, spool: Path | None) -> None:
        self._loop = asyncio.get_running_loop()
        # The gateways bound what they send.
        self._writer = Writer(
            store, spool=spool, max_rows=sys.maxsize, max_bytes=sys.maxsize, linger_s=0.0, on_change=self._changed
        )
        self._writer.start()
        self._gateways: set[_Gateway] = set()
        self._marks: deque[tuple[int, _Gateway]] = deque()
        """The entry of the writer's queue that ends each frame."""
        self._reported: tuple[str | None, int] = None, 0
        """The error and the number of dropped exchanges that the gateways know."""
        self._left = asyncio.Event()

    async def serve(self, end: socket.socket) -> None:
        """Take what a gateway sends until it is gone."""
        gateway = _Gateway(end)
        self._gateways.add(gateway)
        gateway.send(RecorderState(error=self._writer.error))
        under_way: dict[int, asyncio.Task[None]] = {}
        try:
            while (message := await received(gateway.reader)) is not None:
                if isinstance(message, Exchanges):
                    for exchange in message.batch:
                        self._writer.put(exchange)
                    gateway.frames += 1
                    self._marks.append((self._writer.taken, gateway))
                elif isinstance(message, Judgement):
                    task = under_way[message.number] = asyncio.create_task(self._judge(gateway, message))
                    task.add_done_callback(lambda _, number=message.number: under_way.pop(number))  # type: ignore[misc]
                elif isinstance(message, Withdrawal) and message.number in under_way:
                    under_way[message.number].cancel()
        finally:
            for task in under_way.values():
                task.cancel()
            gateway.gone = True
            self._report()
            self._left.set()

    async def close(self, timeout_s: float) -> None:
        """Wait for the end of every gateway, then store or spool the rest, within ``timeout_s`` seconds."""
        while not all(gateway.gone for gateway in self._gateways):
            self._left.clear()
            await self._left.wait()
        await asyncio.to_thread(self._writer.close, timeout_s)
        left = list(self._gateways)
        self._report(closed=True)
        await asyncio.gather(*(gateway.ended() for gateway in left))

    async def _judge(self, gateway: _Gateway, judgement: Judgement) -> None:
        number = judgement.number
        try:
            answer = FeedbackAnswer(number, await self._writer.feedback(judgement.feedback, judgement.address))
        except PreceptorError as error:
            answer = FeedbackAnswer(number, failure=Failure.of(error))
        except Exception as error:
            log.exception("feedback cannot be stored", extra={"action": "recorder.bug"})
            answer = FeedbackAnswer(
                number, failure=Failure("PreceptorError", f"internal error: {type(error).__name__}")
            )
        gateway.send(answer)

    def _changed(self) -> None:
        """Hear of the writer's thread."""
        self._loop.call_soon_threadsafe(self._report)

    def _report(self, *, closed: bool = False) -> None:
        """Send every gateway its progress, if there is any; let those go that have nothing to wait for."""
        done: Counter[_Gateway] = Counter()
        while self._marks and (closed or self._marks[0][0] <= self._writer.done):
            done[self._marks.popleft()[1]] += 1
        error, dropped = self._writer.error, self._writer.dropped
        before, counted = self._reported
        for gateway in list(self._gateways):
            gateway.frames -= done[gateway]
            if done[gateway] or error != before:
                gateway.send(RecorderState(done[gateway], dropped - counted, error))
                counted = dropped
            if gateway.gone and not gateway.frames:
                gateway.cut()
                self._gateways.discard(gateway)
        self._reported = error, counted


if __name__ == "__main__":
    main()
