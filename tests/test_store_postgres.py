"""Postgres under the store: the order of commits, bad days of the server and of the network. With a real one."""

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import psycopg
import pytest

from gateway.domain import Feedback
from gateway.errors import PreceptorError, StoreError
from gateway.store import postgres
from gateway.store.postgres import PostgresAddress, explain, open_postgres
from gateway.store.sql import SqlStore
from tests.postgres import PostgresServer
from tests.proxy import Proxy
from tests.test_store_base import exchange

BUSY_S = 0.2


@pytest.fixture
def store(address: str) -> Iterator[SqlStore]:
    with contextlib.closing(opened(address)) as store:
        yield store


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    with Proxy(postgres.socket).running() as running:
        yield running


def opened(address: str) -> SqlStore:
    return SqlStore.open(Path(), address, busy_timeout_s=BUSY_S)


def through(proxy: Proxy, address: str) -> str:
    """The address of the same database behind the proxy."""
    return f"{address.partition('?')[0].replace('@', f'@127.0.0.1:{proxy.port}')}"


def test_a_reader_by_position_misses_nothing_that_commits_late(address: str) -> None:
    """Many write at once, each holding its commit back; who reads on meanwhile sees each exchange once."""
    writers, batches = 4, 12
    together = Barrier(writers + 1)

    def write(writer: int) -> None:
        with contextlib.closing(SqlStore.open(Path(), address, busy_timeout_s=30.0)) as store:
            together.wait()
            for number in range(batches):
                with store._database.write() as connection:
                    for part in range(3):
                        statement = "SELECT pg_sleep(random() * 0.01)"
                        row = exchange(f"{writer}-{number}-{part}")
                        connection.exec_driver_sql(store._insert, store._values(row))
                        connection.exec_driver_sql(statement)

    seen: list[str] = []
    with contextlib.closing(opened(address)) as store, ThreadPoolExecutor(writers) as pool:
        writing = [pool.submit(write, writer) for writer in range(writers)]
        together.wait()
        position, finished = 0, False
        while True:
            page, position = store.recorded(position, limit=5)
            seen += [row.id for row in page]
            if not page and finished:
                break
            finished = all(work.done() for work in writing)
        for work in writing:
            work.result()
    assert len(seen) == len(set(seen)) == writers * batches * 3


def test_a_writer_that_hangs_is_cut_off(address: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends its transaction, and with it the turn that it holds."""
    monkeypatch.setitem(postgres._SESSION, "idle_in_transaction_session_timeout", "100ms")
    with (
        contextlib.closing(opened(address)) as hanging,
        ThreadPoolExecutor(1) as pool,
        pytest.raises(StoreError, match=r"ended a transaction|cannot be reached"),
    ):
        _hang(hanging, lambda: pool.submit(_written, store).result())


def _hang(store: SqlStore, meanwhile: Callable[[], object]) -> None:
    with store._database.write() as connection:
        meanwhile()
        connection.exec_driver_sql("SELECT 1")


def _written(store: SqlStore) -> str:
    while True:
        with contextlib.suppress(StoreError):
            store.record([exchange("late")])
            return "late"


@pytest.mark.parametrize("text", ["a\0b", "\uf6ff", "\uf6ff0", "\0\uf6ff1\0"])
def test_a_text_with_a_nul_comes_back_as_it_was(store: SqlStore, text: str) -> None:
    """Postgres takes no NUL, so it is written in other words; they are told from the same words in a text."""
    store.record([exchange("a", reply=text, ref=text)])
    found = store.exchange("a")
    assert found is not None and found.reply == found.ref == text


def test_a_number_too_large_is_no_reason_to_try_again(store: SqlStore) -> None:
    """It is an error of its exchange: the others of the batch are recorded by themselves."""
    with pytest.raises(PreceptorError, match="does not take a value") as caught:
        store.record([exchange("a", rules=2**70)])
    assert not isinstance(caught.value, StoreError)


def test_errors_carry_no_prompt(store: SqlStore, postgres: PostgresServer, address: str) -> None:
    """Not in the message, nor in the chain of causes that a log may print; Postgres would quote the row."""
    name = address.partition("/test")[2].partition("?")[0]
    postgres.run("ALTER TABLE exchanges ADD CHECK (reply IS NULL)", f"test{name}")
    prompt = exchange("a", reply="s" + "ecret")
    with pytest.raises(StoreError, match="refuses a row") as caught:
        store.record([prompt])
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_password_is_in_no_message() -> None:
    """Neither of an address that leads nowhere, nor of one that is none."""
    for address in ("postgresql://me:hunter2@127.0.0.1:1/db", "postgresql://me:hunter2%zz@h/db"):
        with pytest.raises(StoreError) as caught:
            SqlStore.open(Path(), address)
        printed = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in printed and "server" in printed
    assert "hunter2" not in PostgresAddress("postgresql://me:hunter2@h/db").name


def test_a_server_that_falls_silent_is_given_up(proxy: Proxy, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-open connection answers nothing and ends never; once the network works again, so does the store."""
    monkeypatch.setitem(postgres._SOCKET, "connect_timeout", 1)
    with contextlib.closing(SqlStore(open_postgres(through(proxy, address), BUSY_S, patience_s=0.3))) as store:
        store.record([exchange("before")])
        proxy.mode = "stall"
        with pytest.raises(StoreError, match="cannot be reached"):
            store.record([exchange("after")])
        proxy.mode = "pass"
        proxy.cut()
        store.record([exchange("after")])
        assert [row.id for row in store.recorded(0, limit=9)[0]] == ["before", "after"]


def test_a_connection_that_is_cut_is_made_anew(proxy: Proxy, address: str) -> None:
    """While nothing is to be had the error says so; afterwards the store works as before."""
    with contextlib.closing(opened(through(proxy, address))) as store:
        proxy.mode = "refuse"
        proxy.cut()
        with pytest.raises(StoreError, match="cannot be reached"):
            store.record([exchange("a")])
        proxy.mode = "pass"
        store.record([exchange("a")])
        assert store.exchange("a") is not None


def test_a_slow_network_is_no_error(proxy: Proxy, address: str) -> None:
    """It takes its time."""
    with contextlib.closing(opened(through(proxy, address))) as store:
        proxy.delay_s = 0.02
        store.record([exchange("a")])
        assert store.add_feedback(Feedback(exchange_id="a", created=1.0, correct=True))


def test_a_read_only_server_is_said_and_left(
    store: SqlStore, postgres: PostgresServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a primary after a fail-over; connections made later find the new one."""
    name = "test" + address.partition("/test")[2].partition("?")[0]
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store._database._writing.dispose()
    with pytest.raises(StoreError, match="is read-only"):
        store.record([exchange("a")])
    postgres.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    store.record([exchange("a")])


def test_a_reader_writes_nothing(store: SqlStore) -> None:
    """The server sees to it."""
    with pytest.raises(StoreError, match="is read-only"), store._database.read() as connection:
        connection.exec_driver_sql("DELETE FROM exchanges")


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("53100", "free some space"), ("53300", "max_connections"), ("57P01", "wait until it is there"),
        ("28P01", "check the name and the password"), ("3D000", "create it"), ("42501", "make it the owner"),
    ],
)  # fmt: skip
def test_an_error_says_what_to_do(state: str, advice: str) -> None:
    """It goes by Postgres' own code."""
    error = psycopg.errors.lookup(state)("in the server's language")
    assert advice in explain(error, "the database")


def test_a_database_that_is_not_there_is_said(postgres: PostgresServer) -> None:
    """As the server says it when it refuses the connection."""
    with pytest.raises(StoreError, match=r"'nowhere' .* does not exist: create it"):
        opened(postgres.address("nowhere"))


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ('FATAL:  password authentication failed for user "me"', "check the name and the password"),
        ("fe_sendauth: no password supplied", "check the name and the password"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "check the name and the password"),
        ('FATAL:  role "me" does not exist', "check the name and the password"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("FATAL:  the database system is starting up", "wait until it is there"),
        ('FATAL:  unrecognized configuration parameter "client_connection_check_interval"', "is older than Postgres"),
        ("FATAL:  unsupported startup parameter in options: lock_timeout", "a pooler in session mode"),
        ("Connection refused", "cannot be reached"),
    ],
)
def test_a_refused_connection_is_known_by_its_words(words: str, advice: str) -> None:
    """The driver hands on no code of the server's then."""
    assert advice in explain(psycopg.OperationalError(f"connection failed: {words}"), "the database")


def test_a_start_waits_for_a_server_that_is_away(proxy: Proxy, address: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says why, once; when the server is back the store is opened."""
    proxy.mode = "refuse"
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(SqlStore.open, Path(), through(proxy, address), wait_s=60.0)
        while "it is tried again" not in caplog.text:
            time.sleep(0.01)
        proxy.mode = "pass"
        with contextlib.closing(opening.result(timeout=60)) as store:
            store.record([exchange("a")])
    assert caplog.text.count("it is tried again") == 1 and "cannot be reached" in caplog.text


def test_a_start_does_not_wait_for_what_stays_wrong(postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    """A database that is not there: waiting makes none."""
    with pytest.raises(StoreError, match="create it"):
        SqlStore.open(Path(), postgres.address("nowhere"), wait_s=3600.0)
    assert "tried again" not in caplog.text


def test_the_words_of_an_unforeseen_error_are_one_line() -> None:
    """Behind the name of the database."""
    assert explain(psycopg.OperationalError("no\nroute"), "db") == "db cannot be reached: no route"


@pytest.mark.parametrize("given", [{}, {"options": "-c work_mem=5MB"}])
def test_an_address_may_say_more(address: str, given: dict[str, Any]) -> None:
    """Whatever libpq takes, beside our own settings of a session."""
    with contextlib.closing(
        PostgresAddress(psycopg.conninfo.make_conninfo(address, **given)).connect(1.5)
    ) as connection:
        assert connection.execute("SHOW lock_timeout").fetchall() == [("1500ms",)]
        if given:
            assert connection.execute("SHOW work_mem").fetchall() == [("5MB",)]


def test_an_exchange_that_is_recorded_twice_by_two_hosts_stands_once(store: SqlStore, address: str) -> None:
    """Of a batch that was sent again elsewhere the known ones are skipped."""
    batch = [exchange(str(number)) for number in range(120)]
    with contextlib.closing(opened(address)) as other, ThreadPoolExecutor(2) as pool:
        later = [msgspec.structs.replace(row, reply="again") for row in reversed(batch)]
        list(pool.map(lambda work: work[0].record(work[1]), [(store, batch), (other, later)]))
    assert store.counts()["sums"].exchanges == len(store.recorded(0, limit=999)[0]) == 120
