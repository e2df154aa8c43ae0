"""The SQL database under the store: connections, transactions, migrations, and errors in one line.

Writers begin with ``BEGIN IMMEDIATE``: two processes take turns instead of failing as they upgrade a lock. This module
knows nothing of the tables' content.
"""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.errors import StoreError
from gateway.store.schema import HEAD

log = logging.getLogger(__name__)

FILE = "preceptor.db"

_MIGRATING = threading.Lock()
"""Alembic keeps its context in globals: one migration at a time in a process."""

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


class Database:
    """An engine whose transactions turn every error of the database into ``StoreError``."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._reading = engine
        self._writing = engine.execution_options(immediate=True)
        self._name = name

    @classmethod
    def open(cls, data_dir: Path, busy_timeout_s: float) -> Self:
        """Open and migrate ``data_dir/preceptor.db``; a new folder and file are private to the user.

        Raises ``StoreError`` if it cannot be opened or was written by a newer version.
        """
        path = data_dir / FILE
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # prompts lie in it
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}; check server.data_dir") from error
        database = cls(_sqlite_engine(path, busy_timeout_s), str(path))
        try:
            with database._mapped():
                _write_ahead(path, busy_timeout_s)
            database._migrate()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction on one state of the database."""
        with self._mapped(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction beside no other writer's."""
        with self._mapped(), self._writing.begin() as connection:
            yield connection

    def compiled(self, statement: sa.Insert) -> SQLCompiler:
        """Return a statement in this database's dialect."""
        compiled = statement.compile(dialect=self._writing.dialect)
        assert isinstance(compiled, SQLCompiler)
        return compiled

    def truncate_log(self) -> None:
        """Write the write-ahead log into the database and empty it, unless another transaction is at work on it."""
        with self._mapped(), self._reading.connect() as connection:
            connection.exec_driver_sql("COMMIT")  # a checkpoint runs in no transaction
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()

    def used_bytes(self) -> int:
        """Return the bytes of the pages in use, with those in the write-ahead log."""
        with self.read() as connection:
            pages, free, page_bytes = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * page_bytes

    def close(self) -> None:
        """Close the idle connections; a connection in use closes at the end of its transaction."""
        self._reading.dispose()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StoreError(explain(error, self._name)) from error

    def _migrate(self) -> None:
        with self.read() as connection:
            if _revision(connection) == HEAD:
                return
        with self.write() as connection:  # other processes wait here, and then find the work done
            current = _revision(connection)
            if current != HEAD:
                with _MIGRATING:
                    _upgrade(connection, current, self._name)
                if current is not None:
                    log.warning(
                        "%s was brought from %s to %s: an older version of preceptor cannot open it any more",
                        self._name, current, HEAD, extra={"action": "store.migrated"},
                    )  # fmt: skip


def _sqlite_engine(path: Path, busy_timeout_s: float) -> sa.Engine:
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


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version


def _upgrade(connection: sa.Connection, current: str | None, name: str) -> None:
    from alembic import command  # half of the time to start a command: loaded only when there is work
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "gateway.store:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(f"{name} was written by a newer version of preceptor: upgrade, or set another server.data_dir")
    command.upgrade(config, "head")


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
