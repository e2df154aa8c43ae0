"""The recorder by itself: each gateway hears of its own exchanges, and it ends when the last gateway is gone."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.framing import cut
from gateway.store.memory import MemoryStore
from gateway.store.recorder.child import RecordingProcess, record
from gateway.store.recorder.messages import RecorderState, Withdrawal, batch, encoded, frame, received
from gateway.store.recorder.parent import CHILD
from tests.test_store_writer import MoodyStore, exchange

PATIENCE_S = 10.0


class End:
    """A gateway's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *ids: str) -> None:
        self.writer.writelines(batch([encoded(exchange(id_)) for id_ in ids]))

    async def hear(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return await received(self.reader)


@contextlib.asynccontextmanager
async def connected(recorder: RecordingProcess) -> AsyncIterator[End]:
    """A gateway of a recorder, gone at the end."""
    ours, its = socket.socketpair()
    end = End(*await asyncio.open_connection(sock=ours))
    serving = asyncio.create_task(recorder.serve(its))
    try:
        assert await end.hear() == RecorderState()
        yield end
    finally:
        await cut(end.writer)
        await serving


async def test_each_gateway_hears_of_its_own_exchanges() -> None:
    """A frame counts once all of it is stored."""
    store = MoodyStore()
    recorder = RecordingProcess(store, None)
    async with connected(recorder) as first, connected(recorder) as second:
        first.send("a", "b")
        assert await first.hear() == RecorderState(1)
        second.send("c")
        assert await second.hear() == RecorderState(1)
    await recorder.close(PATIENCE_S)
    assert store.asked == ["a", "b", "c"]


async def test_every_gateway_hears_of_a_store_that_fails() -> None:
    """And of the end of that, with what was stored."""
    store = MoodyStore()
    recorder = RecordingProcess(store, None)
    async with connected(recorder) as first, connected(recorder) as second:
        store.down = True
        first.send("a")
        for end in (first, second):
            assert await end.hear() == RecorderState(error="the database is away")
        store.down = False
        assert await first.hear() == RecorderState(1)
        assert await second.hear() == RecorderState()
    await recorder.close(PATIENCE_S)


async def test_a_gateway_that_is_gone_leaves_what_it_sent() -> None:
    """Killed right after it, even."""
    store = MemoryStore()
    ours, its = socket.socketpair()
    with ours:
        ours.sendall(b"".join(batch([encoded(exchange("a"))])))
    await record(store, Path("none"), its, listens=False)
    assert store.exchange("a") is not None


async def test_a_gateway_that_gives_up_too_late_is_not_heard() -> None:
    """The feedback is stored, or was never sent."""
    recorder = RecordingProcess(MemoryStore(), None)
    async with connected(recorder) as end:
        end.writer.write(frame(Withdrawal(7)))
        end.send("a")
        assert await end.hear() == RecorderState(1)
    await recorder.close(PATIENCE_S)


def test_a_store_that_cannot_be_opened_is_said_in_a_line(tmp_path: Path) -> None:
    """And the exit code is 1."""
    (tmp_path / "preceptor.db").write_text("no database")
    ended = subprocess.run(  # noqa: S603 - our own command
        [*CHILD, str(tmp_path), "connection", "0"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        check=False, text=True,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("preceptor: nothing can be recorded: ") and len(ended.stderr.splitlines()) == 1
