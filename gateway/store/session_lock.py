"""A lock that belongs to a session of Postgres: a holder that dies lets go of it with its connection."""

import contextlib

import psycopg

from gateway.errors import StoreError
from gateway.store.postgres import PatientConnection, PostgresAddress, explain

LEADING = 1_886_544_998
"""Key of the advisory lock of the process that learns; every version of preceptor takes the same."""
_PATIENCE_S = 5.0


class SessionLock:
    """The advisory lock ``LEADING`` on the database at an address. Blocks; for one thread at a time.

    The server lets go of a session whose host is gone after 25 s (its keep-alives), sooner of one that was killed. A
    holder whose session was ended by the server learns it from its next ``hold``.
    """

    def __init__(self, address: str) -> None:
        self._address = PostgresAddress(address)
        self._connection: PatientConnection | None = None
        self._held = False

    def hold(self) -> bool:
        """Take the lock, or make sure that it is still held. Raises ``StoreError``; then it is not held."""
        try:
            if self._connection is None:
                self._connection = self._address.connect(_PATIENCE_S, patience_s=_PATIENCE_S, autocommit=True)
            asked = "SELECT true" if self._held else f"SELECT pg_try_advisory_lock({LEADING})"
            [(self._held,)] = self._connection.execute(asked.encode()).fetchall()
        except psycopg.Error as error:
            self.release()
            raise StoreError(explain(error, self._address.name)) from None
        return self._held

    def release(self) -> None:
        """Let go, and end the session."""
        connection, self._connection = self._connection, None
        held, self._held = self._held, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error), contextlib.closing(connection):
                if held:  # at once: the end of a session takes its time
                    connection.execute("SELECT pg_advisory_unlock_all()")
