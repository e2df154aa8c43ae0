"""A store in a SQL database: SQLite here, in Core statements that Postgres understands as well.

Connections, locks and errors are the work of ``database``. Nothing here retries; ``writer`` does.
"""

from pathlib import Path
from typing import Self

from gateway.store.database import Database
from gateway.store.sql_exchanges import SqlExchanges
from gateway.store.sql_listings import SqlListings
from gateway.store.sql_observations import SqlObservations
from gateway.store.sql_rules import SqlRules


class SqlStore(SqlExchanges, SqlObservations, SqlListings, SqlRules):
    """``gateway.store.base.Store`` over SQLAlchemy Core: traffic and decisions in one database."""

    @classmethod
    def open(cls, data_dir: Path, *, busy_timeout_s: float = 5.0) -> Self:
        """Open ``data_dir/preceptor.db``, made and migrated where needed.

        A statement waits ``busy_timeout_s`` seconds for another process's transaction. Raises ``StoreError`` if the
        database cannot be opened or was written by a newer version.
        """
        return cls(Database.open(data_dir, busy_timeout_s))

    def flush_deleted(self) -> None:
        """Empty the write-ahead log; the database overwrites deleted rows by itself."""
        self._database.truncate_log()

    def size(self) -> int:
        """Return the bytes of the database in use: pages that deleted rows left free are not counted."""
        return self._database.used_bytes()

    def close(self) -> None:
        """Close the database."""
        self._database.close()
