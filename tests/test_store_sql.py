"""The SQL store beyond the common contract: what lasts, other processes, failures, and the indexes."""

import fcntl
import os
import sqlite3
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gateway.domain import Activation, Exchange, Feedback, RuleSet
from gateway.errors import StoreError
from gateway.store.base import Audited, Graded, TaskCounts
from gateway.store.sql import SqlStore
from gateway.store.sqlite import FILE

EXCHANGE = Exchange(
    id="chatcmpl-1",
    created=1.0,
    task="sums",
    client_model="gpt-4o-mini",
    model="small",
    arm="weak",
    rules=None,
    stream=False,
    status="ok",
    http_status=200,
    request=b'{"prompt":"secret"}',
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore.open(tmp_path, busy_timeout_s=0.01)
    yield opened
    opened.close()


def test_reopening_keeps_the_data(tmp_path: Path) -> None:
    """Exchanges, feedback, rule sets and the active version outlive the process."""
    with closing(SqlStore.open(tmp_path)) as store:
        store.record([EXCHANGE])
        store.add_feedback(Feedback(exchange_id=EXCHANGE.id, created=2.0, correct=False))
        published = store.publish(RuleSet(task="sums"))
        store.activate(Activation(task="sums", version=1, created=3.0, by="test"))
    with closing(SqlStore.open(tmp_path)) as store:
        assert [graded.exchange for graded in store.graded("sums", limit=9)] == [EXCHANGE]
        assert store.active() == {"sums": published}
        assert store.revision() == 1


def _publish(data_dir: Path) -> list[int]:
    with closing(SqlStore.open(data_dir)) as store:
        return [store.publish(RuleSet(task="sums")).version for _ in range(10)]


def test_processes_may_open_and_publish_at_once(tmp_path: Path) -> None:
    """Both find one migrated database, and no version is given twice."""
    context = get_context("spawn")
    with context.Pool(2) as pool:
        versions = pool.map(_publish, [tmp_path, tmp_path], chunksize=1)
    assert sorted(versions[0] + versions[1]) == list(range(1, 21))


def test_threads_may_open_and_publish_at_once(tmp_path: Path) -> None:
    """The same within one process, each thread with a store of its own."""
    together = Barrier(3)

    def work(_: int) -> list[int]:
        together.wait()
        return _publish(tmp_path)

    with ThreadPoolExecutor(3) as pool:
        versions = [version for found in pool.map(work, range(3)) for version in found]
    assert sorted(versions) == list(range(1, 31))


def test_one_who_opens_waits_for_another_who_is_opening(tmp_path: Path) -> None:
    """SQLite refuses one of two who make a new file's journal a write-ahead log at once, whatever its time-out."""
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(_publish, tmp_path)
        with pytest.raises(TimeoutError):
            opening.result(0.2)
        os.close(folder)
        assert opening.result() == list(range(1, 11))


def test_every_connection_writes_ahead(store: SqlStore, tmp_path: Path) -> None:
    """The file says so: a connection that is told nothing goes by it, and readers never wait for writers."""
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_locked_database_is_an_error_that_says_so(store: SqlStore, tmp_path: Path) -> None:
    """Writing fails after the busy time-out, reading goes on, and writing works once the lock is gone."""
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another process"):
            store.record([EXCHANGE])
        assert store.exchange(EXCHANGE.id) is None
    store.record([EXCHANGE])
    assert store.exchange(EXCHANGE.id) == EXCHANGE


def test_a_full_database_is_an_error_that_says_so(store: SqlStore) -> None:
    """A batch that does not fit is not written in part; the store works on when there is room."""
    batch = [EXCHANGE, msgspec.structs.replace(EXCHANGE, id="big", request=b"x" * 1_000_000)]
    with store._database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="free some space"):
        store.record(batch)
    assert store.exchange(EXCHANGE.id) is None
    with store._database.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.record(batch)
    assert store.exchange(EXCHANGE.id) == EXCHANGE


def test_errors_carry_no_prompt(store: SqlStore, tmp_path: Path) -> None:
    """Not in the message, nor in the chain of causes that a log may print."""
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON exchanges BEGIN SELECT RAISE(ABORT, 'refused'); END")
    with pytest.raises(StoreError) as caught:
        store.record([EXCHANGE])
    printed = "".join(traceback.format_exception(caught.value))
    assert "refused" in printed
    assert "secret" not in printed


REVISIONS = ["0001", "0002", "0003", "0004"]
"""Every earlier form of the database."""


def older(folder: Path, revision: str) -> sqlite3.Connection:
    """An empty database as an older version made it."""
    engine = sa.create_engine(f"sqlite:///{folder / FILE}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "gateway.store:migrations")
        command.upgrade(config, revision)
    engine.dispose()
    return sqlite3.connect(folder / FILE, isolation_level=None)


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)  # noqa: S608 - names of ours


def old_exchange(connection: sqlite3.Connection, id_: str, **changes: Any) -> None:
    """An exchange in the columns of the first form."""
    insert(connection, "exchanges", **{
        "id": id_, "created": 1.0, "task": "sums", "client_model": "gpt-4o-mini", "model": "small", "arm": "weak",
        "stream": False, "status": "ok", "http_status": 200, "prompt_tokens": 0, "output_tokens": 0, "latency_ms": 0.0,
        "request": EXCHANGE.request, **changes,
    })  # fmt: skip


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_an_older_version_opens(tmp_path: Path, revision: str) -> None:
    """What it holds is read as ever, its exchanges were drawn into no audit sample, and it is written on."""
    with closing(older(tmp_path, revision)) as connection:
        old_exchange(connection, EXCHANGE.id)
        insert(connection, "feedback", exchange_id=EXCHANGE.id, task="sums", exchange_created=1.0, created=2.0,
               expected="5")  # fmt: skip
    given = Feedback(exchange_id=EXCHANGE.id, created=2.0, expected=5)
    with closing(SqlStore.open(tmp_path)) as store:
        assert store.graded("sums", limit=9) == store.ungraded(limit=9) == [Graded(exchange=EXCHANGE, feedback=given)]
        assert store.audited("sums", since=0.0, limit=9) == []
        drawn = _changed(id="new", audit_rate=0.5, cluster="c", cost_usd=0.1, ref="r")
        store.record([drawn])
        assert store.audited("sums", since=0.0, limit=9) == [Audited(exchange=drawn)]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_an_older_version_without_exchanges_is_built_as_a_new_one(tmp_path: Path, revision: str) -> None:
    """With the large columns last, and all its triggers and indexes."""
    with closing(older(tmp_path, revision)):
        pass
    SqlStore.open(tmp_path).close()
    (tmp_path / "new").mkdir()
    SqlStore.open(tmp_path / "new").close()
    plans = []
    for folder in (tmp_path, tmp_path / "new"):
        with closing(sqlite3.connect(folder / FILE)) as connection:
            plans.append(set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")))
            columns = [row[1] for row in connection.execute("PRAGMA table_info(exchanges)")]
            assert columns[-3:] == ["request", "reply", "tool_calls"]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("revision", ["0001", "0003"])
def test_what_an_older_version_recorded_is_counted(tmp_path: Path, revision: str) -> None:
    """Once, when the database is brought to its new form; and what is recorded from then on."""
    with closing(older(tmp_path, revision)) as connection:
        old_exchange(connection, "a", created=2.0)
        old_exchange(connection, "b", created=3.0, status="error")
        old_exchange(connection, "s", arm="shadow")
        old_exchange(connection, "n", task=None)
    with closing(SqlStore.open(tmp_path)) as store:
        assert store.counts() == {"sums": TaskCounts(exchanges=2, errors=1, first_seen=2.0, last_seen=3.0)}
        store.record([_changed(id="c", created=4.0)])
        assert store.counts()["sums"].exchanges == 3


def _changed(**changes: Any) -> Exchange:
    return msgspec.structs.replace(EXCHANGE, **changes)
