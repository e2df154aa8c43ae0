"""Reading the traffic once, in order, and what is written down of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.domain import Exchange, Feedback
from gateway.errors import StoreError
from gateway.services import Services
from gateway.store.base import Graded, Store
from gateway.store.memory import MemoryStore
from gateway.store.notes import SWEEP_POSITION
from gateway.store.sql import SqlStore
from optimizer.monitoring import observe
from optimizer.monitoring.observe import LOOK_BACK, PAGE, PAGES, Observer
from tests.traffic import NOW, TASK, Clock, asked, exchange, gateway_of, live

REFUSAL = "I'm sorry, but I can't help with that."


class Taken:
    """Remembers what it was offered; holds what it is told to hold."""

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.needed_from: int | None = None

    def offer(self, exchange: Exchange, position: int) -> None:
        self.offered.append(exchange.id)


def observer(store: Store, taken: Taken, clock: Clock | None = None) -> Observer:
    return Observer(services(store, clock).learner_context(), taken)


def services(store: Store, clock: Clock | None = None) -> Services:
    return gateway_of(None, store, live(), clock)


def outcomes(store: Store) -> dict[str, str | None]:
    return {one.exchange.id: one.feedback.comment for one in said(store)}


def said(store: Store) -> list[Graded]:
    return store.graded(TASK, limit=1000)


def ids(numbers: Sequence[int] | range) -> list[str]:
    return [f"x{number}" for number in numbers]


async def test_signs_of_failure_become_feedback(store: Store) -> None:
    """All of a reply's in one, dated like the exchange; a reply without any gets none."""
    store.record([exchange(1, reply=REFUSAL, finish_reason="length", created=NOW - 9), exchange(2)])
    await observer(store, Taken()).observe()
    assert [one.feedback for one in said(store)] == [
        Feedback(
            exchange_id="x1", created=NOW - 9, correct=False, comment="refusal,truncated", source="outcome",
        )
    ]  # fmt: skip


@pytest.mark.parametrize("other", [
    exchange(1, reply=REFUSAL, arm="shadow"),
    exchange(1, reply=REFUSAL, task=None, arm="direct"),
    exchange(1, reply=REFUSAL, task="retired"),
    exchange(1, reply=None, body={}),
    exchange(1, reply=REFUSAL, status="abandoned"),
], ids=["nobody's", "no task", "no task any more", "opted out", "hung up"])  # fmt: skip
async def test_only_what_callers_of_a_task_received_is_judged(store: Store, other: Exchange) -> None:
    """Answers in the background failed nobody; of clients that opted out nothing is known."""
    store.record([other])
    await observer(store, Taken()).observe()
    assert store.counts().get(other.task or "", None) is None or store.counts()[other.task or ""].feedback == 0


async def test_everything_is_offered_once_and_in_order(store: Store) -> None:
    """Over many pages, and as it arrives."""
    taken = Taken()
    reader = observer(store, taken)
    store.record([exchange(number) for number in range(2 * PAGE + 5)])
    await reader.observe()
    store.record([exchange(number) for number in range(2 * PAGE + 5, 2 * PAGE + 9)])
    store.record([exchange(0)])
    await reader.observe()
    await reader.observe()
    assert taken.offered == ids(range(2 * PAGE + 9))


async def test_a_reader_goes_on_where_the_last_one_stopped(store: Store) -> None:
    """The place is in the store; so is what was written, once."""
    store.record([exchange(number, reply=REFUSAL) for number in range(3)])
    await observer(store, Taken()).observe()
    store.record([exchange(3)])
    taken = Taken()
    await observer(store, taken).observe()
    assert taken.offered == ["x3"]
    assert list(outcomes(store)) and store.counts()[TASK].feedback == 3


async def test_what_somebody_still_holds_is_read_again_after_a_restart(store: Store) -> None:
    """And what is written twice counts once."""
    store.record([exchange(number, reply=REFUSAL) for number in range(3)])
    taken = Taken()
    taken.needed_from = 1
    reader = observer(store, taken)
    await reader.observe()
    assert SWEEP_POSITION.read(store) == 1
    again = Taken()
    await observer(store, again).observe()
    assert again.offered == ["x1", "x2"]
    assert store.counts()[TASK].feedback == 3
    taken.needed_from = None
    await reader.observe()
    assert SWEEP_POSITION.read(store) == 3


async def test_a_kill_between_two_writes_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Wherever it happens: the place is written last."""
    for survived in range(4):
        store = Dying(survived)
        store.record([exchange(number, reply=REFUSAL) for number in range(3)])
        with pytest.raises(StoreError):
            await observer(store, Taken()).observe()
        store.writes = 99
        await observer(store, Taken()).observe()
        assert sorted(outcomes(store)) == ids(range(3))
        assert store.counts()[TASK].feedback == 3
        assert SWEEP_POSITION.read(store) == 3


async def test_after_an_error_of_the_store_the_same_reader_goes_on(tmp_path: Path) -> None:
    """Nothing is offered twice."""
    store, taken = Dying(1), Taken()
    store.record([exchange(number, reply=REFUSAL) for number in range(3)])
    reader = observer(store, taken)
    with pytest.raises(StoreError):
        await reader.observe()
    store.writes = 99
    await reader.observe()
    assert taken.offered == ids(range(3))


async def test_a_locked_database_is_an_error_that_passes(tmp_path: Path) -> None:
    """The next look finds everything."""
    store = SqlStore.open(tmp_path, busy_timeout_s=0.05)
    store.record([exchange(1, reply=REFUSAL)])
    reader = observer(store, Taken())
    with store._database.write(), pytest.raises(StoreError, match="is locked"):
        await reader.observe()
    await reader.observe()
    assert outcomes(store) == {"x1": "refusal"}
    store.close()


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 65, LOOK_BACK + 50])
async def test_a_database_that_was_never_read_is_read_from_its_end(count: int) -> None:
    """At most the newest ten thousand exchanges, however many there are; the end is found by a few readings."""
    store, taken = Counted(), Taken()
    store.record([exchange(number) for number in range(count)])
    reader = observer(store, taken)
    await reader.observe()
    first = max(0, count - LOOK_BACK)
    assert taken.offered == ids(range(first, count))[: PAGES * PAGE]
    assert store.single <= 2 * (count.bit_length() + 2)
    await reader.observe()
    assert taken.offered == ids(range(first, count))


async def test_a_place_behind_the_end_is_forgotten(store: Store) -> None:
    """The database is another one, or was packed: the reader must not wait for it to grow."""
    SWEEP_POSITION.write(store, 500)
    store.record([exchange(1, reply=REFUSAL)])
    await observer(store, Taken()).observe()
    assert list(outcomes(store)) == ["x1"] and SWEEP_POSITION.read(store) == 1


async def test_a_reader_whose_rows_were_deleted_begins_again() -> None:
    """Positions start from the beginning when nothing is left."""
    store, taken = MemoryStore(), Taken()
    reader = observer(store, taken)
    store.record([exchange(number) for number in range(9)])
    await reader.observe()
    store._exchanges.clear()
    store._positions.clear()
    await reader.observe()
    store.record([exchange(9)])
    await reader.observe()
    assert taken.offered == ids(range(10)) and SWEEP_POSITION.read(store) == 1


async def test_one_look_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is read by the next one."""
    monkeypatch.setattr(observe, "PAGES", 2)
    store, taken = MemoryStore(), Taken()
    store.record([exchange(number) for number in range(5 * PAGE)])
    reader = observer(store, taken)
    await reader.observe()
    assert len(taken.offered) == 2 * PAGE and SWEEP_POSITION.read(store) == 2 * PAGE


async def test_an_idle_gateway_writes_nothing(tmp_path: Path) -> None:
    """Nobody's disk is kept awake."""
    store = Dying(99)
    store.record([exchange(1)])
    reader = observer(store, Taken())
    await reader.observe()
    store.writes = 0
    await reader.observe()


async def test_a_question_that_was_asked_again_marks_the_earlier_exchange(store: Store) -> None:
    """Ten minutes later, when it is certain; also if the reader was started in between."""
    clock = Clock()
    body = asked(1, user="somebody")
    store.record([exchange(1, body=body), exchange(2, body=body, created=NOW + 30)])
    reader = observer(store, Taken(), clock)
    await reader.observe()
    assert not outcomes(store)
    clock.now += 700
    await observer(store, Taken(), clock).observe()
    assert outcomes(store) == {"x1": "asked_again"}
    await reader.observe()
    assert store.counts()[TASK].feedback == 1


class Dying(MemoryStore):
    """A store in memory that takes so many writes and then no more."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes = writes

    def add_feedback(self, feedback: Feedback) -> bool:
        self._write()
        return super().add_feedback(feedback)

    def put_note(self, key: str, value: bytes) -> None:
        self._write()
        super().put_note(key, value)

    def _write(self) -> None:
        if not self.writes:
            raise StoreError("killed")
        self.writes -= 1


class Counted(MemoryStore):
    """A store in memory that counts how often one row was read."""

    single = 0

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        self.single += limit == 1
        return super().recorded(after, limit=limit)
