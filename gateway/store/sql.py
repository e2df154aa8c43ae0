"""A store in a SQL database: the same Core statements on SQLite and on Postgres.

Connections, locks and errors are the work of ``database``. Nothing here retries; ``writer`` does.
"""

from pathlib import Path
from typing import Self

from gateway.errors import StoreError
from gateway.store.sql_exchanges import SqlExchanges
from gateway.store.sql_listings import SqlListings
from gateway.store.sql_observations import SqlObservations
from gateway.store.sql_rules import SqlRules
from gateway.store.sqlite import open_sqlite


class SqlStore(SqlExchanges, SqlObservations, SqlListings, SqlRules):
    """``gateway.store.base.Store`` over SQLAlchemy Core: traffic and decisions in one database."""

    @classmethod
    def open(
        cls, data_dir: Path, address: str | None = None, *, busy_timeout_s: float = 5.0, wait_s: float = 0.0
    ) -> Self:
        """Open the database at an address, or ``data_dir/preceptor.db`` without one; made and migrated where needed.

        A statement waits ``busy_timeout_s`` seconds for another process's transaction, the start ``wait_s`` seconds for
        a server that is away. Raises ``StoreError`` if the database cannot be opened or was written by a newer version.
        """
        if address is None:
            return cls(open_sqlite(data_dir, busy_timeout_s))
        try:
            from gateway.store.postgres import open_postgres
        except ImportError as error:
            raise StoreError(f"server.store needs psycopg: pip install 'preceptor[postgres]' ({error})") from error
        return cls(open_postgres(address, busy_timeout_s, wait_s=wait_s))

    def flush_deleted(self) -> None:
        """Overwrite deleted rows as far as the database does that on request."""
        self._database.overwrite_deleted()

    def size(self) -> int:
        """Return the bytes of the database in use: pages that deleted rows left free are not counted."""
        return self._database.used_bytes()

    def close(self) -> None:
        """Close the database."""
        self._database.close()
