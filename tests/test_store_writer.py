"""The writer: nothing waits for the store, nothing is lost within the bounds, and feedback is acknowledged honestly."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest

from gateway.domain import Exchange, Feedback
from gateway.errors import StoreError
from gateway.store.memory import MemoryStore
from gateway.store.selection import Address
from gateway.store.spool import Spool
from gateway.store.sql import SqlStore
from gateway.store.writer import BATCH_BYTES, Writer

PATIENCE_S = 10.0
"""Bound of every wait that is expected to end at once."""


class MoodyStore(MemoryStore):
    """A store that can be down, or held in the middle of a call; it notes what it was asked to do, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.refused = Event()
        """Set by each call while the store is down."""
        self.gate = Event()
        """A call goes on only while it is set."""
        self.gate.set()
        self.entered = Event()
        self.asked: list[str] = []
        self.batches: list[int] = []

    def record(self, batch: Sequence[Exchange]) -> None:
        self._enter()
        super().record(batch)
        self.batches.append(len(batch))
        self.asked += [exchange.id for exchange in batch]

    def add_feedback(self, feedback: Feedback) -> bool:
        self._enter()
        self.asked.append(f"feedback on {feedback.exchange_id}")
        return super().add_feedback(feedback)

    def _enter(self) -> None:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        if self.down:
            self.refused.set()
            raise StoreError("the database is away")


@pytest.fixture
def store() -> MoodyStore:
    return MoodyStore()


@contextmanager
def writing(store: MemoryStore | SqlStore, spool: Path | None = None, **knobs: Any) -> Iterator[Writer]:
    """A started writer with short pauses, closed at the end."""
    writer = Writer(store, spool=spool, **{"linger_s": 0.0, "backoff_s": (0.001, 0.002), **knobs})
    writer.start()
    try:
        yield writer
    finally:
        writer.close(0.0 if isinstance(store, MoodyStore) and store.down else PATIENCE_S)


def exchange(id_: str, **changes: Any) -> Exchange:
    plain = Exchange(
        id=id_,
        created=1.0,
        task="sums",
        client_model="gpt-4o-mini",
        model="small",
        arm="weak",
        rules=None,
        stream=False,
        status="ok",
        http_status=200,
        reply="",
    )
    return msgspec.structs.replace(plain, **changes)


def feedback(id_: str) -> Feedback:
    return Feedback(exchange_id=id_, created=2.0, correct=False)


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["action"] for record in caplog.records]


def test_what_is_put_is_written(store: MoodyStore) -> None:
    """In order, and counted."""
    with writing(store) as writer:
        for number in range(100):
            writer.put(exchange(str(number)))
        assert writer.flush(PATIENCE_S)
        assert (writer.written, writer.pending, writer.dropped, writer.error) == (100, 0, 0, None)
    assert store.asked == [str(number) for number in range(100)]


def test_what_waits_is_written_in_batches(store: MoodyStore) -> None:
    """As large as allowed, no larger."""
    writer = Writer(store, spool=None, batch_rows=4)
    for number in range(10):
        writer.put(exchange(str(number)))
    writer.start()
    assert writer.flush(PATIENCE_S)
    writer.close(PATIENCE_S)
    assert store.batches == [4, 4, 2]


def test_a_batch_of_large_exchanges_is_short(store: MoodyStore) -> None:
    """It ends with the exchange that fills it."""
    writer = Writer(store, spool=None)
    for number in range(5):
        writer.put(exchange(str(number), request=b"x" * (BATCH_BYTES // 2)))
    writer.start()
    assert writer.flush(PATIENCE_S)
    writer.close(PATIENCE_S)
    assert store.batches == [2, 2, 1]


def test_an_idle_writer_wakes_up(store: MoodyStore) -> None:
    """Without a flush: putting alone is enough, the second time as well as the first."""
    with writing(store) as writer:
        for id_ in ("a", "b"):
            store.entered.clear()
            writer.put(exchange(id_))
            assert store.entered.wait(PATIENCE_S)
            assert writer.flush(PATIENCE_S)


def test_flush_without_work_returns_at_once(store: MoodyStore) -> None:
    """There is nothing to wait for."""
    with writing(store) as writer:
        assert writer.flush(0.0)


def test_flush_says_when_time_ran_out(store: MoodyStore) -> None:
    """And what waited is still written later."""
    with writing(store) as writer:
        store.gate.clear()
        writer.put(exchange("a"))
        assert not writer.flush(0.0)
        store.gate.set()
        assert writer.flush(PATIENCE_S)


def test_a_store_that_goes_down_and_comes_back_loses_nothing(
    store: MoodyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Meanwhile the writer says what is wrong; the log says so once, and once that it is over."""
    caplog.set_level("INFO")
    with writing(store) as writer:
        store.down = True
        writer.put(exchange("a"))
        for _ in range(3):  # the end of each attempt but the first proves that an earlier one was noted
            store.refused.clear()
            assert store.refused.wait(PATIENCE_S)
        assert str(writer.error) == "the database is away"
        writer.put(exchange("b"))
        assert writer.pending == 2
        store.down = False
        assert writer.flush(PATIENCE_S)
        assert (writer.error, writer.written, writer.dropped) == (None, 2, 0)
    assert store.asked == ["a", "b"]
    assert actions(caplog) == ["store_failed", "store_recovered"]


def test_above_the_bound_of_rows_exchanges_are_dropped_and_counted(store: MoodyStore) -> None:
    """Those in the store's hands still count as waiting; room that is made is used again."""
    with writing(store, max_rows=3) as writer:
        store.gate.clear()
        writer.put(exchange("0"))
        assert store.entered.wait(PATIENCE_S)
        for number in range(1, 6):
            writer.put(exchange(str(number)))
        assert (writer.pending, writer.dropped) == (3, 3)
        store.gate.set()
        assert writer.flush(PATIENCE_S)
        writer.put(exchange("late"))
        assert writer.flush(PATIENCE_S)
    assert store.asked == ["0", "1", "2", "late"]


def test_above_the_bound_of_bytes_exchanges_are_dropped_and_counted(store: MoodyStore) -> None:
    """Request and reply count; a small one still fits where a large one did not."""
    writer = Writer(store, spool=None, max_bytes=100)
    writer.put(exchange("a", request=b"x" * 40, reply="y" * 40))
    writer.put(exchange("large", request=b"x" * 21))
    writer.put(exchange("small", request=b"x" * 20))
    assert writer.dropped == 1
    writer.start()
    assert writer.flush(PATIENCE_S)
    writer.put(exchange("again", request=b"x" * 100))
    writer.close(PATIENCE_S)
    assert store.asked == ["a", "small", "again"]


def test_an_exchange_that_no_database_takes_holds_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a surrogate pair, or a count that overflows: dropped, counted, logged without its text."""
    with closing(SqlStore.open(tmp_path)) as store, writing(store) as writer:
        good = exchange("good")
        bad = exchange("bad", reply="secret \ud800")
        huge = exchange("huge", usage=msgspec.structs.replace(good.usage, output_tokens=2**70))
        for recorded in (bad, huge, good):
            writer.put(recorded)
        assert writer.flush(PATIENCE_S)
        assert (writer.written, writer.dropped, writer.error) == (1, 2, None)
        assert store.exchange("good") == good
    assert actions(caplog) == ["exchange_refused", "exchange_refused"]
    assert "secret" not in caplog.text


async def test_feedback_follows_the_exchange_it_speaks_of(store: MoodyStore) -> None:
    """Sent right behind it, it is known; what is put later is written later."""
    with writing(store, linger_s=PATIENCE_S) as writer:  # feedback does not linger
        writer.put(exchange("a"))
        said = asyncio.create_task(writer.feedback(feedback("a")))
        await asyncio.sleep(0)
        writer.put(exchange("b"))
        assert await said == "a"
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
    assert store.asked == ["a", "feedback on a", "b"]
    assert [graded.feedback for graded in store.graded("sums", limit=9)] == [feedback("a")]


async def test_feedback_on_an_unknown_exchange_has_no_id(store: MoodyStore) -> None:
    """The store's answer comes through."""
    with writing(store) as writer:
        assert await writer.feedback(feedback("nowhere")) is None


async def test_feedback_finds_the_exchange_by_the_client_s_own_name(store: MoodyStore) -> None:
    """Behind everything queued before it; the answer is the exchange's id."""
    with writing(store) as writer:
        writer.put(exchange("a", ref="order-17"))
        assert await writer.feedback(feedback(""), Address(ref="order-17")) == "a"
        assert await writer.feedback(feedback(""), Address(ref="order-18")) is None
    assert [graded.feedback for graded in store.graded("sums", limit=9)] == [feedback("a")]


async def test_feedback_is_acknowledged_only_once_it_is_stored(store: MoodyStore) -> None:
    """While the store has it in hand there is no answer, even past the deadline; then it is the store's."""
    with writing(store, deadline_s=0.001) as writer:
        writer.put(exchange("a"))
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
        store.gate.clear()
        store.entered.clear()
        said = asyncio.create_task(writer.feedback(feedback("a")))
        await asyncio.sleep(0)
        assert store.entered.wait(PATIENCE_S)  # blocks the loop, so that the deadline cannot come first
        await asyncio.wait([said], timeout=0.02)
        assert not said.done()
        store.gate.set()
        assert await said == "a"
    assert len(store.graded("sums", limit=9)) == 1


async def test_feedback_survives_a_short_outage(store: MoodyStore) -> None:
    """A store that is back within the deadline takes it, once."""
    with writing(store) as writer:
        writer.put(exchange("a"))
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
        store.down = True
        said = asyncio.create_task(writer.feedback(feedback("a")))
        assert await asyncio.to_thread(store.refused.wait, PATIENCE_S)
        store.down = False
        assert await said == "a"
    assert store.counts()["sums"].feedback == 1


@pytest.mark.parametrize("behind", [True, False], ids=["behind a batch that fails", "at the head of the queue"])
async def test_feedback_past_its_deadline_is_refused_and_never_stored(store: MoodyStore, behind: bool) -> None:
    """The sender was told to send it again: storing it as well would count it twice."""
    with writing(store, deadline_s=0.01) as writer:
        writer.put(exchange("a"))
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
        store.down = True
        if behind:
            writer.put(exchange("b"))
            assert await asyncio.to_thread(store.refused.wait, PATIENCE_S)
        with pytest.raises(StoreError, match=r"was not stored: .*; send it again"):
            await writer.feedback(feedback("a"))
        store.down = False
        writer.put(exchange("c"))
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
        assert store.counts()["sums"].feedback == 0


async def test_feedback_whose_sender_hung_up_is_not_stored_later(store: MoodyStore) -> None:
    """Nobody was told that it was kept, and a client that tries again must not be counted twice."""
    with writing(store) as writer:
        writer.put(exchange("a"))
        store.gate.clear()
        said = asyncio.create_task(writer.feedback(feedback("a")))
        await asyncio.sleep(0)
        said.cancel()
        await asyncio.wait([said])
        store.gate.set()
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
    assert store.asked == ["a"]


async def test_feedback_that_breaks_the_store_is_the_senders_error(store: MoodyStore) -> None:
    """An error that is no StoreError reaches who sent it, and the writer goes on."""

    class Picky(MoodyStore):
        def add_feedback(self, feedback: Feedback) -> bool:
            raise OverflowError("no such number")

    picky = Picky()
    with writing(picky) as writer:
        with pytest.raises(OverflowError):
            await writer.feedback(feedback("a"))
        writer.put(exchange("b"))
        assert await asyncio.to_thread(writer.flush, PATIENCE_S)
    assert picky.asked == ["b"]


async def test_feedback_is_refused_when_the_queue_is_full_or_closed(store: MoodyStore) -> None:
    """At once, since waiting would not help."""
    writer = Writer(store, spool=None, max_rows=1)
    writer.put(exchange("a"))
    with pytest.raises(StoreError, match="the queue is full"):
        await writer.feedback(feedback("a"))
    writer.start()
    await asyncio.to_thread(writer.close, PATIENCE_S)
    with pytest.raises(StoreError, match="send it again"):
        await writer.feedback(feedback("a"))


async def test_feedback_under_way_is_answered_when_the_writer_closes(store: MoodyStore, tmp_path: Path) -> None:
    """With an error: it is not stored, and it does not go to the spool."""
    spool = tmp_path / "spool.jsonl"
    with writing(store, spool, deadline_s=PATIENCE_S) as writer:
        store.down = True
        writer.put(exchange("a"))
        said = asyncio.create_task(writer.feedback(feedback("a")))
        assert await asyncio.to_thread(store.refused.wait, PATIENCE_S)
        await asyncio.to_thread(writer.close, 0.0)
        with pytest.raises(StoreError):
            await said
    assert [found.id for found in Spool(spool).read()] == ["a"]


def test_what_cannot_be_written_at_close_is_written_at_the_next_start(store: MoodyStore, tmp_path: Path) -> None:
    """Through the spool, before anything new, and the spool is gone afterwards."""
    spool = tmp_path / "spool.jsonl"
    store.down = True
    with writing(store, spool) as writer:
        for id_ in ("a", "b"):
            writer.put(exchange(id_, request=b'{"n":1}', reply="é"))
    assert writer.dropped == 0
    store.down = False
    next_writer = Writer(store, spool=spool)
    next_writer.put(exchange("new"))
    next_writer.start()
    assert next_writer.flush(PATIENCE_S)
    assert next_writer.written == 3
    assert not spool.exists()
    next_writer.close(PATIENCE_S)
    assert not spool.exists()
    assert store.asked == ["a", "b", "new"]
    assert store.exchange("a") == exchange("a", request=b'{"n":1}', reply="é")


def test_what_another_process_left_is_written_at_the_next_start(store: MoodyStore, tmp_path: Path) -> None:
    """Every file beside the spool is taken up, but none that somebody has."""
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append([exchange("a")])
    with spool.taken():
        spool.append([exchange("b")])
        with writing(store, spool.path) as writer:
            assert writer.flush(PATIENCE_S)
    assert store.asked == ["b"]
    assert [one.path for one in spool.left()] == [spool.path]


def test_reading_the_spool_back_waits_for_the_store(store: MoodyStore, tmp_path: Path) -> None:
    """A start does not fail because the store is down, and the spool stays until it has been stored."""
    spool = tmp_path / "spool.jsonl"
    Spool(spool).append([exchange("a")])
    store.down = True
    with writing(store, spool) as writer:
        assert store.refused.wait(PATIENCE_S)
        assert spool.exists()
        store.down = False
        assert writer.flush(PATIENCE_S)
        assert not spool.exists()
    assert store.asked == ["a"]


def test_a_spool_that_was_read_in_part_is_read_again(store: MoodyStore, tmp_path: Path) -> None:
    """A crash between storing and removing costs nothing: what is known is skipped."""
    spool = tmp_path / "spool.jsonl"
    Spool(spool).append([exchange("a", reply="first"), exchange("b")])
    store.record([exchange("a", reply="first")])
    with writing(store, spool) as writer:
        assert writer.flush(PATIENCE_S)
    assert store.counts()["sums"].exchanges == 2


def test_a_cut_line_of_the_spool_is_skipped(
    store: MoodyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of it is stored, and the spool is removed."""
    spool = tmp_path / "spool.jsonl"
    Spool(spool).append([exchange("a"), exchange("cut")])
    spool.write_bytes(spool.read_bytes()[:-30])
    with writing(store, spool) as writer:
        assert writer.flush(PATIENCE_S)
    assert store.asked == ["a"]
    assert not spool.exists()
    assert actions(caplog) == ["spool_line_skipped"]


def test_a_second_outage_adds_to_the_spool(store: MoodyStore, tmp_path: Path) -> None:
    """What an earlier process left stays in it, and all of it is stored in the end."""
    spool = tmp_path / "spool.jsonl"
    store.down = True
    for id_ in ("a", "b"):
        with writing(store, spool) as writer:
            writer.put(exchange(id_))
    store.down = False
    with writing(store, spool) as writer:
        assert writer.flush(PATIENCE_S)
    assert store.asked == ["a", "b"]


def _nowhere(_: Path) -> None:
    return None


def _a_folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("spool", [_nowhere, _a_folder])
def test_what_can_be_kept_nowhere_is_counted_as_dropped(
    store: MoodyStore, tmp_path: Path, spool: Callable[[Path], Path | None]
) -> None:
    """Without a spool, or with one that cannot be written; closing does not fail over it."""
    store.down = True
    with writing(store, spool(tmp_path)) as writer:
        writer.put(exchange("a"))
    assert writer.dropped == 1


def test_after_close_everything_is_dropped_and_counted(store: MoodyStore) -> None:
    """Closing twice is as good as once."""
    with writing(store) as writer:
        writer.close(PATIENCE_S)
        writer.put(exchange("late"))
        assert (writer.dropped, writer.pending) == (1, 0)
    assert store.asked == []
