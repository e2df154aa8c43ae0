"""The database under the store: its file, its schema, and errors that say what to do."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.errors import StoreError
from gateway.store.database import FILE, Database, explain
from gateway.store.schema import HEAD, metadata


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path, 0.01)
    yield opened
    opened.close()


def test_the_folder_and_the_database_are_private(tmp_path: Path) -> None:
    """Prompts lie in them: 0700 and 0600, whatever the umask, and the same for SQLite's files beside the database."""
    data_dir = tmp_path / "new" / "data"
    before = os.umask(0)
    try:
        with closing(Database.open(data_dir, 1.0)):
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}


def test_every_connection_has_the_settings(database: Database) -> None:
    """WAL, synchronous NORMAL (1), foreign keys on, the busy time-out as given."""
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with database.read() as connection:
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == ["wal", 1, 1, 10]


def test_the_migrations_build_the_schema(database: Database) -> None:
    """What the migrations make of an empty file is what the statements are written against."""
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    """The constant that lets an up-to-date database open without Alembic."""
    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_database_from_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It says so, and leaves the database as it is."""
    Database.open(tmp_path, 1.0).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for _ in range(2):
        with pytest.raises(StoreError, match="newer version of preceptor"):
            Database.open(tmp_path, 1.0)


def test_a_file_that_is_no_database_is_an_error_that_says_so(tmp_path: Path) -> None:
    """It is named and left alone."""
    (tmp_path / FILE).write_text("dear diary " * 1000)
    with pytest.raises(StoreError, match=f"{FILE} is not a database"):
        Database.open(tmp_path, 1.0)
    assert (tmp_path / FILE).read_text().startswith("dear diary")


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A file in its place, for one."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"check server\.data_dir"):
        Database.open(tmp_path / "data", 1.0)


@pytest.mark.usefixtures("database")
def test_a_read_only_database_is_an_error_that_says_so(tmp_path: Path) -> None:
    """SQLite's own complaint about it, said as advice."""
    reading = sqlite3.connect(f"file:{tmp_path / FILE}?mode=ro", uri=True)
    with closing(reading), pytest.raises(sqlite3.OperationalError) as caught:
        reading.execute("DELETE FROM exchanges")
    assert explain(caught.value, "the database").startswith("the database is read-only")


def test_an_unforeseen_error_is_one_line() -> None:
    """Whatever the database says, in one line behind the name of the file."""
    assert explain(sqlite3.OperationalError("no such\ntable"), "x.db") == "x.db cannot be used now: no such table"


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """Whatever ends it, and its own errors reach the caller as they are."""

    def fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO cycles (task, started, plan) VALUES ('sums', 1.0, '')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM cycles").scalar() == 0


def test_readers_go_on_while_another_writes(database: Database) -> None:
    """And see the state before it."""
    with database.write() as writing:
        writing.exec_driver_sql("INSERT INTO cycles (task, started, plan) VALUES ('sums', 1.0, '')")
        with database.read() as reading:
            assert reading.exec_driver_sql("SELECT count(*) FROM cycles").scalar() == 0


def test_writers_take_turns(database: Database) -> None:
    """A second one waits for the busy time-out, and is then told what holds it up."""
    with database.write(), pytest.raises(StoreError, match="is locked by another process"), database.write():
        pass
