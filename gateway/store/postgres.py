"""Postgres under the store, for gateways on several hosts. Needs psycopg: the extra ``postgres``.

Writers take turns by an advisory lock of the transaction: what commits later has the higher position and number. A
writer that hangs loses the lock with its connection; the server, this side and the kernel each bound its time.
"""

import functools
import logging
import time
from collections.abc import Generator
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.string import StrDumper, TextLoader
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from gateway.errors import PreceptorError, StoreError
from gateway.store.database import Database
from gateway.store.migrations import postgres_tables

log = logging.getLogger(__name__)

WRITING: Final = 1_886_544_997
"""Key of the advisory lock of writers; every version of preceptor takes the same."""
PATIENCE_S: Final = 25.0
"""Seconds without a word from the server after which a connection counts as lost: longer than any statement takes."""
CONNECT_S: Final = 5
_PAUSE_S = 0.5
_LONGEST_ADVICE = 300
_ESCAPE = "\uf6ff"
"""A letter of no language, in which texts say that there was a NUL."""

_SESSION = {
    "statement_timeout": "20s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "5s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Settings of a session: the server lets go of one whose client is gone."""
_SOCKET: Final[dict[str, str | int]] = {
    "connect_timeout": CONNECT_S, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 15_000, "application_name": "preceptor",
}  # fmt: skip
"""Defaults of a connection, which ``server.store`` may set otherwise."""

_ADVICE = {
    "53100": "cannot grow, its disk is full: free some space",
    "53300": "has no connection left: raise its max_connections, or run fewer processes",
    "25006": "is read-only, as a standby is: let server.store name the primary (target_session_attrs=read-write)",
    "28": "refuses the user: check the name and the password in server.store",
    "3D000": "does not exist: create it, or check server.store",
    "42501": "does not permit this user enough: make it the owner of the database",
    "55P03": "is locked by another process: wait until it is done, or end it",
    "57014": "took too long for a statement: it is under load, or hung",
    "57P": "is shutting down or starting: wait until it is there",
    "25P": "ended a transaction that hung",
    "42704": "is older than Postgres 14: this version is for 15 and newer",
    "08P01": "is behind a pooler that takes no settings of a session: name the server, or a pooler in session mode",
}
"""Advice by SQLSTATE, whole or its beginning."""
_REFUSALS = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    'FATAL:  role "': "28000",
    'FATAL:  database "': "3D000",
    "too many clients": "53300",
    "connection slots": "53300",
    "the database system is": "57P03",
    "unrecognized configuration parameter": "42704",
    "unsupported startup parameter": "08P01",
}
"""SQLSTATE by the server's English words: libpq hands on nothing else when a connection is refused."""
_LASTING = ("28", "3D", "42704", "08P01")
"""Refusals that no waiting mends."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is given up when the server falls silent: a half-open one would wait for ever."""

    patience_s = PATIENCE_S
    unhurried = False
    """The transaction under way may take any time."""

    def wait(self, gen: Generator[Any, Any, Any], *given: Any, **named: Any) -> Any:
        return super().wait(gen if self.unhurried else self._bounded(gen), *given, **named)

    def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        deadline = time.monotonic() + self.patience_s
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer for {self.patience_s:g} s")
                state = gen.send(ready)
        except StopIteration as end:
            return end.value


class _Text(StrDumper):
    """Text with NUL in other words: Postgres takes none, and a model may well write it."""

    def dump(self, obj: str) -> Any:
        if "\0" in obj or _ESCAPE in obj:
            return super().dump(obj.replace(_ESCAPE, _ESCAPE + "1").replace("\0", _ESCAPE + "0"))
        return super().dump(obj)


class _TextBack(TextLoader):
    """The inverse of ``_Text``."""

    def load(self, data: Any) -> Any:
        text: Any = super().load(data)
        return text.replace(_ESCAPE + "0", "\0").replace(_ESCAPE + "1", _ESCAPE) if _ESCAPE in text else text


class PostgresAddress:
    """The address of a Postgres database as libpq takes it, checked; its password is never shown."""

    def __init__(self, address: str) -> None:
        """Raises ``StoreError`` for a malformed address."""
        try:
            given: dict[str, Any] = conninfo_to_dict(address)
        except psycopg.ProgrammingError:
            raise StoreError("server.store is no address of Postgres: postgresql://user@host/database") from None
        self.name = f"the database {given.get('dbname', '')!r} on {given.get('host', 'this host')}"
        self._options = str(given.pop("options", ""))
        self._conninfo = make_conninfo("", **_SOCKET | given)

    def connect(
        self, lock_timeout_s: float, *, patience_s: float = PATIENCE_S, autocommit: bool = False
    ) -> PatientConnection:
        """Return a new connection. Raises ``psycopg.Error``."""
        settings = {"lock_timeout": f"{lock_timeout_s * 1000:.0f}ms", **_SESSION}
        options = " ".join([*(f"-c {name}={value}" for name, value in settings.items()), self._options])
        connection = PatientConnection.connect(self._conninfo, options=options.rstrip(), autocommit=autocommit)
        connection.patience_s = patience_s
        connection.adapters.register_dumper(str, _Text)
        connection.adapters.register_loader("text", _TextBack)
        return connection


def open_postgres(
    address: str, busy_timeout_s: float, *, patience_s: float = PATIENCE_S, wait_s: float = 0.0
) -> Database:
    """Connect to the database and migrate it; a server that is away is waited for. Raises ``StoreError``."""
    place = PostgresAddress(address)
    _wait_for(place, wait_s)
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=functools.partial(place.connect, busy_timeout_s, patience_s=patience_s),
        paramstyle="format",
        use_native_hstore=False,
        pool_pre_ping=True,
        hide_parameters=True,  # errors must not carry prompts
    )
    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "handle_error", _leave_standby)
    reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    database = Database(reading, engine.execution_options(immediate=True), Postgres(), place.name)
    try:
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


def _wait_for(place: PostgresAddress, longest_s: float) -> None:
    """Wait until connections are taken, ``longest_s`` seconds at most; what lasts is left to the next connection."""
    began, warned = time.monotonic(), False
    while time.monotonic() - began < longest_s:
        try:
            place.connect(1.0, autocommit=True).close()
            return
        except psycopg.OperationalError as error:
            if state_of(error).startswith(_LASTING):
                return
            if not warned:
                log.warning(
                    "%s; it is tried again for %g s", explain(error, place.name), longest_s,
                    extra={"action": "store.waits"},
                )  # fmt: skip
            warned = True
        time.sleep(_PAUSE_S)


class Postgres:
    """Implements ``gateway.store.database.Dialect``."""

    driver_error = psycopg.Error

    def mapped(self, error: Exception, name: str) -> PreceptorError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, psycopg.DataError):
            return PreceptorError(f"{name} does not take a value (SQLSTATE {cause.sqlstate or 'unknown'})")
        return StoreError(explain(cause or error, name))

    def insert(self, table: sa.Table) -> postgresql.Insert:
        return postgresql.insert(table)

    def create(self, connection: sa.Connection) -> str:
        return postgres_tables.create(connection)

    def unhurried(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        _driver(connection).unhurried = True

    def used_bytes(self, connection: sa.Connection) -> int:
        """Return the bytes of requests and replies before compression: files do not shrink when rows are deleted."""
        statement = "SELECT coalesce(sum(octet_length(request) + coalesce(octet_length(reply), 0)), 0) FROM exchanges"
        return int(connection.exec_driver_sql(statement).scalar_one())

    def overwrite_deleted(self, engine: sa.Engine) -> None:
        """Vacuum the tables with texts: their deleted rows make room, and their space is written anew."""
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT", postgresql_readonly=False).exec_driver_sql(
                "VACUUM exchanges, feedback, rule_sets, cycles"
            )


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error; of a refused connection by its words, "" for others."""
    state = getattr(error, "sqlstate", None)
    if state is None and isinstance(error, psycopg.OperationalError):
        return next((known for words, known in _REFUSALS.items() if words in str(error)), "")
    return state or ""


def explain(error: BaseException, name: str) -> str:
    """Return the advice for an error in one line."""
    state = state_of(error)
    for known, advice in _ADVICE.items():
        if state.startswith(known):
            return f"{name} {advice}"
    if state[:2] == "23":  # its words quote the row
        return f"{name} refuses a row (SQLSTATE {state})"
    words = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    if isinstance(error, psycopg.OperationalError):
        return f"{name} cannot be reached: {_line(words or str(error))}"
    return f"{name} cannot be used now: {_line(words or type(error).__name__)}"


def _line(words: str) -> str:
    return " ".join(words.split())[:_LONGEST_ADVICE]


def _driver(connection: sa.Connection) -> PatientConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, PatientConnection)
    return driver


def _begin(connection: sa.Connection) -> None:
    _driver(connection).unhurried = False
    if connection.get_execution_options().get("immediate"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITING})")


def _leave_standby(context: sa.ExceptionContext) -> None:
    """Give up every connection to a server that has become read-only: another may be the primary now."""
    if getattr(context.original_exception, "sqlstate", None) == "25006":
        context.is_disconnect = True
