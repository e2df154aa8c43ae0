"""The state of a Postgres before a gateway uses it, in words, for ``preceptor check --connect``. Changes nothing."""

import contextlib
from typing import Any

import psycopg

from gateway.errors import StoreError
from gateway.store.postgres import PatientConnection, PostgresAddress, explain
from gateway.store.schema import HEAD

OLDEST_SERVER = 15
"""Oldest major version of Postgres on which the store's tests pass."""
_PATIENCE_S = 5.0


def postgres_state(address: str) -> str:
    """Return the version of the server and of its tables. Blocks.

    Raises ``StoreError`` with advice if a gateway could not use the database.
    """
    place = PostgresAddress(address)
    try:
        with contextlib.closing(place.connect(_PATIENCE_S, patience_s=_PATIENCE_S, autocommit=True)) as connection:
            number = connection.info.server_version
            complaint = complaint_about(number) or _complaint(connection)
            if complaint:
                raise StoreError(f"{place.name} {complaint}")
            return f"Postgres {number // 10_000}.{number % 10_000}, {_tables(connection, place.name)}"
    except psycopg.Error as error:
        raise StoreError(explain(error, place.name)) from None


def complaint_about(number: int) -> str | None:
    """Return the complaint about a server's version, such as 150018 for 15.18; ``None`` if it is supported."""
    major = number // 10_000
    return f"is Postgres {major}: {OLDEST_SERVER} or newer is needed" if major < OLDEST_SERVER else None


def _complaint(connection: PatientConnection) -> str | None:
    if _one(connection, "SELECT current_setting('transaction_read_only') = 'on'"):
        return "is read-only, as a standby is: let server.store name the primary (target_session_attrs=read-write)"
    if not _one(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')"):
        return "does not permit this user to make tables: make it the owner of the database"
    return None


def _tables(connection: PatientConnection, name: str) -> str:
    """Return the state of the tables in words. Raises ``StoreError`` if they are too new."""
    if not _one(connection, "SELECT to_regclass('alembic_version') IS NOT NULL"):
        return "without tables: the first start makes them"
    revision = _one(connection, "SELECT version_num FROM alembic_version")
    if revision == HEAD:
        return "with the tables of this version"
    if revision < HEAD:
        return f"with the tables of an older version ({revision}): the next start migrates them"
    oldest = _one(connection, "SELECT value FROM notes WHERE key = 'schema/oldest'")
    if oldest is None or bytes(oldest).decode() > HEAD:
        raise StoreError(f"{name} was written by a newer version of preceptor: upgrade, or set another server.store")
    return f"with the tables of a newer version ({revision}), which this one may use"


def _one(connection: PatientConnection, statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    return row[0] if row is not None else None
