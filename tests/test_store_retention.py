"""Old exchanges go: all that should, a batch at a time, whatever happens to the store meanwhile."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from gateway.domain import Exchange, Feedback
from gateway.errors import StoreError
from gateway.store.memory import MemoryStore
from gateway.store.retention import BATCH, DAY_S, GB, Keeping, Retention
from gateway.store.sql import SqlStore
from gateway.store.sqlite import FILE
from tests.fakes import CONFIG, FakeUpstream, asked, served
from tests.test_store_sql import EXCHANGE

NOW = 1_700_000_000.0


def aged(*days: float) -> list[Exchange]:
    """Exchanges of so many days ago, each with its age as its id."""
    return [msgspec.structs.replace(EXCHANGE, id=str(age), created=NOW - age * DAY_S) for age in days]


def ids(store: MemoryStore | SqlStore) -> list[str]:
    return [exchange.id for exchange in store.recorded(0, limit=10**6)[0]]


class Watched(MemoryStore):
    """A store in memory that notes how many it was asked to delete, and fails as often as it is told to."""

    def __init__(self, batch: Sequence[Exchange], failures: int = 0) -> None:
        super().__init__()
        self.record(batch)
        self.asked: list[int] = []
        self.failures = failures

    def forget(self, before: float, *, limit: int) -> int:
        self.asked.append(limit)
        if self.failures:
            self.failures -= 1
            raise StoreError("the database is locked")
        return super().forget(before, limit=limit)


async def clear(store: MemoryStore | SqlStore, before: float) -> int:
    return await Retention(store, Keeping, lambda: NOW).clear(before)


async def until(store: MemoryStore, left: list[str], days: float | None, caplog: pytest.LogCaptureFixture) -> None:
    """Keep a store clear until so much is left in it."""
    with caplog.at_level("INFO"):
        retention = Retention(store, lambda: Keeping(days=days), lambda: NOW)
        keeping = asyncio.create_task(retention.run(0.001))
        async with asyncio.timeout(30):
            while ids(store) != left or (days is not None and "deleted" not in caplog.text):
                await asyncio.sleep(0.001)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def test_what_is_too_old_goes_a_batch_at_a_time() -> None:
    """However much it is; nobody waits for more than one batch."""
    store = Watched(aged(*(30 + number / 1000 for number in range(2 * BATCH + 1)), 29.9, 1))
    assert await clear(store, NOW - 30 * DAY_S) == 2 * BATCH
    assert ids(store) == ["30.0", "29.9", "1"]  # just as old as that is not older
    assert store.asked == [BATCH] * 3


async def test_nothing_goes_while_no_days_are_set(caplog: pytest.LogCaptureFixture) -> None:
    """The default keeps everything for ever."""
    store = Watched(aged(5000, 1))
    await until(store, ["5000", "1"], None, caplog)
    assert store.asked == []


async def test_days_count_back_from_now(caplog: pytest.LogCaptureFixture) -> None:
    """And what was done is said."""
    store = Watched(aged(8, 7.01, 6.99, 1))
    await until(store, ["6.99", "1"], 7.0, caplog)
    assert "2 old exchanges deleted" in caplog.text


async def test_a_store_that_fails_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A lock does not end it."""
    store = Watched(aged(8, 1), failures=3)
    await until(store, ["1"], 7.0, caplog)
    assert caplog.text.count("cannot be deleted") == 1


async def test_a_database_that_another_process_holds_is_an_error_and_nothing_is_half_done(tmp_path: Path) -> None:
    """Exchange and feedback go together or not at all."""
    with closing(SqlStore.open(tmp_path, busy_timeout_s=0.01)) as store:
        store.record(aged(8, 1))
        store.add_feedback(Feedback(exchange_id="8", created=1.0, correct=True))
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="is locked by another process"):
                await clear(store, NOW - 7 * DAY_S)
            assert ids(store) == ["8", "1"] and len(store.graded("sums", limit=9)) == 1
        assert await clear(store, NOW - 7 * DAY_S) == 1
        assert ids(store) == ["1"] and store.graded("sums", limit=9) == []


async def test_two_gateways_on_one_store_may_both_do_it(tmp_path: Path) -> None:
    """They find the same rows; neither fails, and nothing else is lost."""
    with closing(SqlStore.open(tmp_path)) as first, closing(SqlStore.open(tmp_path)) as second:
        first.record(aged(*range(1000, 7, -1), 1))
        await asyncio.gather(clear(first, NOW - 7.5 * DAY_S), clear(second, NOW - 7.5 * DAY_S))
        assert ids(first) == ["1"]


async def test_room_that_was_freed_is_used_again(tmp_path: Path) -> None:
    """The file does not shrink, and does not grow either while as much comes as goes."""
    large = [msgspec.structs.replace(one, request=b"x" * 2000) for one in aged(*range(1000))]
    with closing(SqlStore.open(tmp_path)) as store:
        store.record(large)
        with store._database.read() as connection:
            before = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        await clear(store, NOW + DAY_S)
        store.record([msgspec.structs.replace(one, id=f"new {one.id}") for one in large])
        with store._database.read() as connection:
            after = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    assert after <= before * 1.05


async def test_a_gateway_does_it_by_its_configuration() -> None:
    """From its start on."""
    store = MemoryStore()
    store.record([msgspec.structs.replace(EXCHANGE, created=1.0)])
    text = CONFIG.replace("[server]", "[server]\nretention_days = 30")
    async with served(FakeUpstream(lambda body: "4"), text, store) as gateway:
        reply = await gateway.client.post("/v1/chat/completions", json=asked())
        assert (await gateway.exchange(reply)).status == "ok"
    async with served(FakeUpstream(lambda body: "4"), text, store) as gateway:
        await gateway.until(lambda: store.exchange(EXCHANGE.id) is None)
    assert ids(store) == [reply.json()["id"]]


def long(*ids_: str) -> list[Exchange]:
    """Exchanges of 10 KB, each a second younger than the one before."""
    return [
        msgspec.structs.replace(EXCHANGE, id=id_, created=NOW + number, request=b"x" * 10_000)
        for number, id_ in enumerate(ids_)
    ]


async def test_beyond_its_size_the_oldest_go_until_the_rest_fits(caplog: pytest.LogCaptureFixture) -> None:
    """At any age; counted by the reason, and said with the setting."""
    store = MemoryStore()
    store.record(long(*map(str, range(3 * BATCH))))
    deleted: list[tuple[str, int]] = []
    retention = Retention(
        store, lambda: Keeping(gigabytes=10_000 * 1.5 * BATCH / GB), lambda: NOW,
        deleted=lambda bound, number: deleted.append((bound, number)),
    )  # fmt: skip
    await retention.look()
    assert ids(store) == [str(number) for number in range(2 * BATCH, 3 * BATCH)]
    assert deleted == [("size", BATCH), ("size", BATCH)]  # texts of replies count, too
    assert f"reached server.max_store_gb (0.00075 GB): {2 * BATCH} of the oldest exchanges deleted" in caplog.text
    await retention.look()
    assert len(deleted) == 2 and retention.bytes == store.size()


def on_disk(folder: Path) -> int:
    """Bytes of the database and of its write-ahead log."""
    return sum(file.stat().st_size for file in folder.glob(f"{FILE}*"))


async def test_the_file_of_a_database_stays_within_its_size(tmp_path: Path) -> None:
    """Pages in use count: the file itself does not shrink, and grows no further while as much comes as goes."""
    most = 2_000_000
    with closing(SqlStore.open(tmp_path)) as store:
        retention = Retention(store, lambda: Keeping(gigabytes=most / GB), lambda: NOW)
        files: list[int] = []
        for day in range(6):
            store.record(long(*(f"{day} {number}" for number in range(200))))
            await retention.look()
            assert retention.bytes == store.size() <= most
            files.append(on_disk(tmp_path))
        assert ids(store)[-1] == "5 199"
    assert max(files) <= 1.2 * files[1]
