"""SQLite under the store: one file in the data folder.

Writers begin with ``BEGIN IMMEDIATE``: two processes take turns instead of failing as they upgrade a lock.
"""

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from gateway.errors import StoreError
from gateway.store.database import Database

FILE = "preceptor.db"

_ADVICE = {
    "SQLITE_BUSY": "is locked by another process: wait until it is done, or end it",
    "SQLITE_LOCKED": "is locked by another process: wait until it is done, or end it",
    "SQLITE_FULL": "cannot grow, the disk is full: free some space",
    "SQLITE_READONLY": "is read-only: make the file and its folder writable",
    "SQLITE_PERM": "is read-only: make the file and its folder writable",
    "SQLITE_CANTOPEN": "cannot be opened: check that its folder is there and writable",
    "SQLITE_NOTADB": "is not a database: move it away, or set another server.data_dir",
    "SQLITE_CORRUPT": "is damaged: restore it from a backup, or move it away",
    "SQLITE_IOERR": "cannot be read or written, the disk reports errors: check the disk",
}


def open_sqlite(data_dir: Path, busy_timeout_s: float) -> Database:
    """Open and migrate ``data_dir/preceptor.db``; a new folder and file are private to the user.

    Raises ``StoreError`` if it cannot be opened or was written by a newer version.
    """
    path = data_dir / FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # prompts lie in it
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}; check server.data_dir") from error
    engine = _engine(path, busy_timeout_s)
    database = Database(engine, engine.execution_options(immediate=True), Sqlite(), str(path))
    try:
        _write_ahead(path, busy_timeout_s)
        database.migrate()
    except sqlite3.Error as error:
        database.close()
        raise StoreError(explain(error, str(path))) from error
    except BaseException:
        database.close()
        raise
    return database


class Sqlite:
    """Implements ``gateway.store.database.Dialect``."""

    driver_error = sqlite3.Error

    def mapped(self, error: Exception, name: str) -> StoreError:
        return StoreError(explain(error, name))

    def insert(self, table: sa.Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def create(self, connection: sa.Connection) -> None:
        """Leave all to the migrations."""

    def unhurried(self, connection: sa.Connection) -> None:
        """Do nothing: a statement at work has no time limit."""

    def used_bytes(self, connection: sa.Connection) -> int:
        """Return the bytes of the pages in use, with those in the write-ahead log."""
        pages, free, page_bytes = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page_bytes

    def overwrite_deleted(self, engine: sa.Engine) -> None:
        """Write the write-ahead log into the database and empty it; deleted rows are overwritten by themselves."""
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()


def _engine(path: Path, busy_timeout_s: float) -> sa.Engine:
    """Return an engine with ``BEGIN`` left to us: the driver would begin late, and never for reads."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy_timeout_s},
        hide_parameters=True,  # errors must not carry prompts
    )

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # deleted prompts are overwritten

    def begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "begin", begin)
    return engine


def _write_ahead(path: Path, busy_timeout_s: float) -> None:
    """Mark the file's journal as a write-ahead log, for every later connection.

    One opener at a time: SQLite refuses the second of two that switch a new file at once, instead of letting it wait.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with closing(sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    finally:
        os.close(folder)


def explain(error: Exception, name: str) -> str:
    """Return the advice for an error in one line.

    It goes by SQLite's names of errors: an extended name begins with the plain one.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = str(getattr(cause, "sqlite_errorname", ""))
    for known, advice in _ADVICE.items():
        if code == known or code.startswith(known + "_"):
            return f"{name} {advice}"
    return f"{name} cannot be used now: {' '.join(str(cause).split())}"
