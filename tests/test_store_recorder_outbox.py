"""The outbox: nothing waits for the recorder, nothing is lost with it, and feedback is acknowledged honestly.

Outbox and recorder are the real ones, on both ends of a socket; the store is in memory.
"""

import asyncio
import contextlib
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.background import Background
from gateway.domain import Exchange, Feedback
from gateway.errors import Conflict, PreceptorError, StoreError
from gateway.framing import cut
from gateway.store.recorder.child import RecordingProcess
from gateway.store.recorder.outbox import Outbox
from gateway.store.selection import Address
from gateway.store.spool import Spool
from tests.test_store_writer import MoodyStore, actions, exchange, feedback

PATIENCE_S = 10.0
"""Bound of every wait that is expected to end at once."""


class Stage:
    """An outbox and the recorders that serve it, one after the other."""

    def __init__(self, spool: Path | None, **knobs: Any) -> None:
        self.store = MoodyStore()
        self.away = False
        """No recorder can be started."""
        self.starts = 0
        self._spool = spool
        self._end: socket.socket | None = None
        self._dead = False
        self.outbox = Outbox(
            self._connect, spool=spool,
            **{"linger_s": 0.0, "close_s": PATIENCE_S, "pauses_s": (0.001, 0.002), **knobs},
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
        if self.away:
            raise StoreError("there is no recorder")
        self._dead = False
        ours, its = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        recorder = RecordingProcess(self.store, self._spool)
        self._end = its

        async def serve() -> None:
            await recorder.serve(its)
            await recorder.close(0.0 if self._dead or self.store.down else PATIENCE_S)

        serving = asyncio.create_task(serve())
        self.starts += 1
        try:
            yield reader, writer
        finally:
            await cut(writer)
            await serving

    def die(self) -> None:
        """The recorder is gone in the middle of its work."""
        assert self._end is not None
        self._dead = True
        self._end.shutdown(socket.SHUT_RDWR)

    async def flushed(self) -> None:
        assert await asyncio.to_thread(self.outbox.flush, PATIENCE_S)

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # what is waited for has no event
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def staged(spool: Path | None = None, **knobs: Any) -> AsyncIterator[Stage]:
    stage = Stage(spool, **knobs)
    async with stage.outbox.running(Background()):
        await stage.until(lambda: stage.starts == 1)
        yield stage


def stored(stage: Stage) -> list[str]:
    """The ids in the store, in the order of recording."""
    return [kept.id for kept in stage.store.recorded(0, limit=1000)[0]]


async def test_what_is_put_is_stored() -> None:
    """In order, and nothing waits any more."""
    async with staged() as stage:
        for number in range(100):
            stage.outbox.put(exchange(str(number)))
        await stage.flushed()
        assert (stage.outbox.pending, stage.outbox.dropped, stage.outbox.error) == (0, 0, None)
    assert stored(stage) == [str(number) for number in range(100)]


async def test_what_is_put_at_the_end_is_stored() -> None:
    """Leaving waits for it."""
    async with staged(linger_s=PATIENCE_S) as stage:
        stage.outbox.put(exchange("a"))
    assert stored(stage) == ["a"]


async def test_after_the_end_everything_is_dropped_and_counted() -> None:
    """Feedback is refused."""
    async with staged() as stage:
        pass
    stage.outbox.put(exchange("late"))
    with pytest.raises(StoreError, match="send it again"):
        await stage.outbox.feedback(feedback("late"))
    assert (stage.outbox.dropped, stored(stage)) == (1, [])


async def test_a_recorder_that_dies_loses_nothing() -> None:
    """Neither what it had, nor what came while it was away; nothing is stored twice."""
    async with staged() as stage:
        stage.store.gate.clear()
        stage.outbox.put(exchange("a"))
        assert await asyncio.to_thread(stage.store.entered.wait, PATIENCE_S)
        stage.die()
        stage.outbox.put(exchange("b"))
        await stage.until(lambda: stage.outbox.error is not None)
        assert "is not running" in str(stage.outbox.error)
        assert stage.outbox.pending == 2
        stage.store.gate.set()
        await stage.flushed()
        assert (stage.starts, stage.outbox.pending, stage.outbox.error) == (2, 0, None)
    assert stored(stage) == ["a", "b"]
    assert stage.store.counts()["sums"].exchanges == 2


async def test_a_recorder_that_cannot_start_is_said() -> None:
    """Exchanges wait until it can."""
    async with staged() as stage:
        stage.away = True
        stage.die()
        stage.outbox.put(exchange("a"))
        await stage.until(lambda: stage.outbox.error is not None)
        stage.away = False
        await stage.flushed()
    assert stored(stage) == ["a"]


async def test_a_recorder_that_does_not_answer_is_said() -> None:
    """As long as something waits for it."""
    async with staged(silence_s=0.02) as stage:
        stage.store.gate.clear()
        stage.outbox.put(exchange("a"))
        await stage.until(lambda: stage.outbox.error is not None)
        assert "does not answer" in str(stage.outbox.error)
        stage.store.gate.set()
        await stage.flushed()
        assert stage.outbox.error is None


async def test_a_store_that_goes_down_and_comes_back_loses_nothing() -> None:
    """Meanwhile the outbox says what is wrong."""
    async with staged() as stage:
        stage.store.down = True
        stage.outbox.put(exchange("a"))
        await stage.until(lambda: stage.outbox.error == "the database is away")
        stage.outbox.put(exchange("b"))
        assert stage.outbox.pending == 2
        stage.store.down = False
        await stage.flushed()
        assert stage.outbox.error is None
    assert stored(stage) == ["a", "b"]


async def test_above_the_bound_of_rows_exchanges_are_dropped_and_counted() -> None:
    """Room that is made is used again."""
    async with staged(max_rows=3) as stage:
        stage.store.gate.clear()
        for number in range(5):
            stage.outbox.put(exchange(str(number)))
        assert (stage.outbox.pending, stage.outbox.dropped) == (3, 2)
        stage.store.gate.set()
        await stage.flushed()
        stage.outbox.put(exchange("late"))
    assert stored(stage) == ["0", "1", "2", "late"]


async def test_above_the_bound_of_bytes_exchanges_are_dropped_and_counted() -> None:
    """A small one still fits where a large one did not, and room that is made is used again."""
    async with staged(max_bytes=4000) as stage:
        for id_, size in (("a", 2000), ("large", 2000), ("small", 20)):
            stage.outbox.put(exchange(id_, request=b"x" * size))
        assert stage.outbox.dropped == 1
        await stage.flushed()
        stage.outbox.put(exchange("again", request=b"x" * 2000))
    assert stored(stage) == ["a", "small", "again"]


async def test_many_bytes_are_handed_over_at_once() -> None:
    """They do not wait for more."""
    async with staged(linger_s=PATIENCE_S) as stage:
        stage.outbox.put(exchange("a", request=b"x" * 1_000_000))
        await stage.until(lambda: stage.outbox.pending == 0)


async def test_an_exchange_that_no_database_takes_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    """Half a surrogate pair: dropped, counted, logged without its text."""
    async with staged() as stage:
        stage.outbox.put(exchange("bad", reply="secret \ud800"))
        stage.outbox.put(exchange("good"))
        await stage.flushed()
        assert stage.outbox.dropped == 1
    assert stored(stage) == ["good"]
    assert actions(caplog) == ["exchange_refused"] and "secret" not in caplog.text


async def test_an_exchange_that_the_store_refuses_is_counted() -> None:
    """As if it had been refused here."""

    class Picky(MoodyStore):
        def record(self, batch: Any) -> None:
            if any(kept.id == "bad" for kept in batch):
                raise OverflowError
            super().record(batch)

    stage = Stage(None)
    stage.store = Picky()
    async with stage.outbox.running(Background()):
        stage.outbox.put(exchange("bad"))
        stage.outbox.put(exchange("good"))
        await stage.flushed()
        assert (stage.outbox.dropped, stage.outbox.pending) == (1, 0)
    assert stored(stage) == ["good"]


async def test_feedback_follows_the_exchange_it_speaks_of() -> None:
    """Sent right behind it, it is known; neither lingers."""
    async with staged(linger_s=PATIENCE_S) as stage:
        stage.outbox.put(exchange("a", ref="order-17"))
        assert await stage.outbox.feedback(feedback("a")) == "a"
        assert await stage.outbox.feedback(feedback(""), Address(ref="order-17")) == "a"
        assert await stage.outbox.feedback(feedback("nowhere")) is None
    assert stage.store.counts()["sums"].feedback == 2


async def test_feedback_is_acknowledged_only_once_it_is_stored() -> None:
    """While the store has it in hand there is no answer."""
    async with staged() as stage:
        stage.outbox.put(exchange("a"))
        await stage.flushed()
        stage.store.gate.clear()
        asking = asyncio.create_task(stage.outbox.feedback(feedback("a")))
        await asyncio.wait([asking], timeout=0.05)
        assert not asking.done()
        stage.store.gate.set()
        assert await asking == "a"


async def test_an_answer_of_the_store_is_the_sender_s() -> None:
    """With the field and the code that are wrong."""
    async with staged() as stage:
        stage.outbox.put(exchange("a", request=b"{}", reply=None))
        with pytest.raises(Conflict) as refused:
            await stage.outbox.feedback(feedback("a"))
        assert refused.value.code == "exchange_withheld"


async def test_feedback_that_breaks_the_store_is_an_error_of_ours() -> None:
    """Its sender hears of it, and the recorder goes on."""

    class Picky(MoodyStore):
        def add_feedback(self, feedback: Feedback) -> bool:
            raise OverflowError("no such number")

    stage = Stage(None)
    stage.store = Picky()
    async with stage.outbox.running(Background()):
        with pytest.raises(PreceptorError, match="OverflowError"):
            await stage.outbox.feedback(feedback("a"))
        stage.outbox.put(exchange("b"))
    assert stored(stage) == ["b"]


async def test_feedback_is_refused_when_too_much_waits() -> None:
    """At once, since waiting would not help."""
    async with staged(max_rows=1) as stage:
        stage.outbox.put(exchange("a"))
        with pytest.raises(StoreError, match="too many exchanges wait"):
            await stage.outbox.feedback(feedback("a"))


async def test_feedback_waits_for_a_recorder_and_is_refused_without() -> None:
    """Within the deadline; then it is not stored later either."""
    async with staged(deadline_s=0.02) as stage:
        stage.outbox.put(exchange("a"))
        await stage.flushed()
        stage.away = True
        stage.die()
        await stage.until(lambda: stage.outbox.error is not None)
        with pytest.raises(StoreError, match=r"was not stored: .*is not running.*; send it again"):
            await stage.outbox.feedback(feedback("a"))
        stage.away = False
        stage.outbox.put(exchange("b"))
        await stage.flushed()
        assert stage.store.counts()["sums"].feedback == 0


async def test_feedback_without_an_answer_is_refused_and_given_up() -> None:
    """The recorder is told not to store it any more."""
    async with staged(answer_s=0.02) as stage:
        stage.outbox.put(exchange("a"))
        await stage.flushed()
        stage.store.gate.clear()
        stage.outbox.put(exchange("b"))  # holds the store up, so that the feedback behind it is not begun
        with pytest.raises(StoreError, match="was not stored"):
            await stage.outbox.feedback(feedback("a"))
        await asyncio.sleep(0.02)  # the recorder hears of it
        stage.store.gate.set()
        await stage.flushed()
        assert stage.store.counts()["sums"].feedback == 0


async def test_feedback_whose_sender_hung_up_is_not_stored_later() -> None:
    """Nobody was told that it was kept, and a client that tries again must not be counted twice."""
    async with staged() as stage:
        stage.outbox.put(exchange("a"))
        stage.store.gate.clear()
        asking = asyncio.create_task(stage.outbox.feedback(feedback("a")))
        assert await asyncio.to_thread(stage.store.entered.wait, PATIENCE_S)
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.sleep(0.02)  # the recorder hears of it
        stage.store.gate.set()
        await stage.flushed()
        assert stage.store.counts()["sums"].feedback == 0


async def test_a_recorder_that_dies_over_feedback_is_no_acknowledgement() -> None:
    """Its sender is asked to send it again."""
    async with staged() as stage:
        stage.outbox.put(exchange("a"))
        await stage.flushed()
        stage.store.gate.clear()
        asking = asyncio.create_task(stage.outbox.feedback(feedback("a")))
        await asyncio.sleep(0.02)
        stage.die()
        with pytest.raises(StoreError, match=r"may not be stored.*send it again"):
            await asking
        stage.store.gate.set()


async def test_what_the_store_does_not_take_at_the_end_goes_to_the_spool(tmp_path: Path) -> None:
    """The recorder's, whose word for it counts as stored."""
    spool = tmp_path / "spool.jsonl"
    async with staged(spool) as stage:
        stage.store.down = True
        stage.outbox.put(exchange("a"))
    assert [kept.id for kept in Spool(spool).read()] == ["a"]
    assert (stage.outbox.dropped, stage.outbox.pending) == (0, 0)


@pytest.mark.parametrize("kept", [True, False], ids=["a spool", "no spool"])
async def test_without_a_recorder_at_the_end_the_rest_goes_to_the_spool(tmp_path: Path, kept: bool) -> None:
    """Or is counted as lost, where there is none."""
    spool = tmp_path / "spool.jsonl" if kept else None
    async with staged(spool, close_s=0.05) as stage:
        stage.away = True
        stage.die()
        await stage.until(lambda: stage.outbox.error is not None)
        for id_ in ("a", "b"):
            stage.outbox.put(exchange(id_, request=b"\xff"))
    left = [] if spool is None else list(Spool(spool).read())
    assert left == ([exchange("a", request=b"\xff"), exchange("b", request=b"\xff")] if kept else [])
    assert stage.outbox.dropped == (0 if kept else 2)


def test_it_is_an_exchange_s_bytes_that_count() -> None:
    """The bound is on memory, so it is on the encoded form: a text of two characters may take eight bytes."""
    stage = Stage(None, max_bytes=3000)
    stage.outbox._loop = asyncio.new_event_loop()
    stage.outbox.put(exchange("a", reply="\U0001f600" * 1000))
    stage.outbox._loop.close()
    assert stage.outbox.dropped == 1
    assert isinstance(exchange("a"), Exchange)
