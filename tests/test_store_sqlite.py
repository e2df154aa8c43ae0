"""SQLite under the store: its file, its settings, and errors that say what to do."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store.database import Database
from gateway.store.sqlite import FILE, explain, open_sqlite


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_sqlite(tmp_path, 0.01)
    yield opened
    opened.close()


def test_the_folder_and_the_database_are_private(tmp_path: Path) -> None:
    """Prompts lie in them: 0700 and 0600, whatever the umask, and the same for SQLite's files beside the database."""
    data_dir = tmp_path / "new" / "data"
    before = os.umask(0)
    try:
        with closing(open_sqlite(data_dir, 1.0)):
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


def test_a_file_that_is_no_database_is_an_error_that_says_so(tmp_path: Path) -> None:
    """It is named and left alone."""
    (tmp_path / FILE).write_text("dear diary " * 1000)
    with pytest.raises(StoreError, match=f"{FILE} is not a database"):
        open_sqlite(tmp_path, 1.0)
    assert (tmp_path / FILE).read_text().startswith("dear diary")


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A file in its place, for one."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"check server\.data_dir"):
        open_sqlite(tmp_path / "data", 1.0)


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
