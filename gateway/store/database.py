"""The SQL database under the store: transactions, migrations, and errors in one line, for ``sqlite`` and ``postgres``.

Writers take turns, across processes and hosts. Positions and numbers therefore grow in the order of commits, and a
reader that continues after the last position it saw misses nothing. This module knows nothing of the tables' content.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.errors import PreceptorError, StoreError
from gateway.store.schema import HEAD, OLDEST, notes

log = logging.getLogger(__name__)

_MIGRATING = threading.Lock()
"""Alembic keeps its context in globals: one migration at a time in a process."""
_OLDEST_NOTE = "schema/oldest"
"""Key of the note with the ``OLDEST`` of the version that migrated last."""


class Dialect(Protocol):
    """The words in which databases differ."""

    @property
    def driver_error(self) -> type[Exception]: ...

    def mapped(self, error: Exception, name: str) -> PreceptorError:
        """Return an error of the database, or of its driver, as one of ours."""

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """Return an ``INSERT`` that knows ``ON CONFLICT``."""

    def create(self, connection: sa.Connection) -> str | None:
        """Create the tables of an empty database. Returns their revision, ``None`` if the migrations create all."""

    def unhurried(self, connection: sa.Connection) -> None:
        """Let the statements of this transaction take any time."""

    def used_bytes(self, connection: sa.Connection) -> int:
        """Return the bytes in use."""

    def overwrite_deleted(self, engine: sa.Engine) -> None:
        """Remove what deleted rows left behind; no transaction allows that."""


class Database:
    """An engine whose transactions turn every error of the database into ``StoreError``."""

    def __init__(self, reading: sa.Engine, writing: sa.Engine, dialect: Dialect, name: str) -> None:
        self._reading, self._writing, self._dialect, self._name = reading, writing, dialect, name
        self.insert = dialect.insert
        self.kind = reading.dialect.name
        """``sqlite`` or ``postgresql``."""

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

    def glance(self, statement: str) -> tuple[Any, ...]:
        """Return the only row of a statement from ``literally`` in as few calls of the driver as there can be.

        Each of its calls leaves the interpreter and comes back, for which the event loop has to wait.
        """
        with self._mapped():
            connection = self._reading.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(statement)
                return cursor.fetchone() or ()
            finally:
                connection.close()

    def literally(self, statement: sa.Select[Any]) -> str:
        """Return a statement in this database's dialect, its values in it: none may come from outside."""
        return str(statement.compile(dialect=self._reading.dialect, compile_kwargs={"literal_binds": True}))

    def compiled(self, statement: sa.Insert) -> SQLCompiler:
        """Return a statement in this database's dialect."""
        compiled = statement.compile(dialect=self._writing.dialect)
        assert isinstance(compiled, SQLCompiler)
        return compiled

    def overwrite_deleted(self) -> None:
        """Remove what deleted rows left behind, as far as other transactions permit."""
        with self._mapped():
            self._dialect.overwrite_deleted(self._reading)

    def used_bytes(self) -> int:
        """Return the bytes in use; what deleted rows left free is not counted."""
        with self.read() as connection:
            return self._dialect.used_bytes(connection)

    def close(self) -> None:
        """Close the idle connections; a connection in use closes at the end of its transaction."""
        self._reading.dispose()

    def migrate(self) -> None:
        """Bring the tables to ``HEAD``, unless a newer version left them usable for this version.

        Raises ``StoreError`` if they are too new.
        """
        with self.read() as connection:
            if self._is_usable(connection, _revision(connection)):
                return
        with self.write() as connection:  # other processes wait here, and then find the work done
            current = _revision(connection)
            if not self._is_usable(connection, current):
                self._dialect.unhurried(connection)
                with _MIGRATING:
                    _upgrade(connection, self._dialect.create(connection) if current is None else None)
                self._note_oldest(connection)
                if current is not None:
                    log.warning(
                        "%s was brought from %s to %s: versions of preceptor older than %s cannot open it any more",
                        self._name, current, HEAD, OLDEST, extra={"action": "store.migrated"},
                    )  # fmt: skip

    def _is_usable(self, connection: sa.Connection, current: str | None) -> bool:
        if current is None or current <= HEAD:
            return current == HEAD
        oldest = connection.execute(sa.select(notes.c.value).where(notes.c.key == _OLDEST_NOTE)).scalar_one_or_none()
        if oldest is None or oldest.decode() > HEAD:
            raise StoreError(
                f"{self._name} was written by a newer version of preceptor: upgrade, or set another"
                " server.data_dir or server.store"
            )
        return True

    def _note_oldest(self, connection: sa.Connection) -> None:
        value = OLDEST.encode()
        statement = self.insert(notes).values(key=_OLDEST_NOTE, value=value)
        connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._dialect.driver_error) as error:
            mapped = self._dialect.mapped(error, self._name)
            raise mapped from None  # a database's own words may quote what was to be stored


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version


def _upgrade(connection: sa.Connection, created: str | None) -> None:
    """Run the migrations; ``created`` is the revision of tables that were just created."""
    from alembic import command  # half of the time to start a command: loaded only when there is work
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "gateway.store:migrations")
    if created is not None:
        command.stamp(config, created)
    command.upgrade(config, "head")
