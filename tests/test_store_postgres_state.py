"""What ``check --connect`` says about a database before a gateway uses it, with a real Postgres."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gateway.errors import StoreError
from gateway.store.postgres_state import complaint_about, postgres_state
from gateway.store.sql import SqlStore
from tests.postgres import PostgresServer

PASSWORD = "hunter2-of-a-test"


def database_of(address: str) -> str:
    return (
        address.rpartition("/")[2].partition("?")[0] if "host=" not in address else address.split("@/")[1].split("?")[0]
    )


@pytest.fixture
def user(postgres: PostgresServer) -> Iterator[str]:
    """A user who must give a password, of no rights."""
    name = f"locked_{os.getpid()}"
    postgres.run(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    ((rules,),) = postgres.run("SHOW hba_file")
    before = Path(rules).read_text()
    Path(rules).write_text(f"local all {name} scram-sha-256\n{before}")
    postgres.run("SELECT pg_reload_conf()")
    while True:  # the server reads its rules soon, not at once
        try:
            psycopg.connect(as_user(postgres.address(), name, "wrong")).close()
        except psycopg.OperationalError:
            break
    yield name
    Path(rules).write_text(before)
    postgres.run("SELECT pg_reload_conf()")
    postgres.run(f"DROP OWNED BY {name}")
    postgres.run(f"DROP ROLE {name}")


def as_user(address: str, user: str, password: str) -> str:
    return address.replace("postgres@", f"{user}:{password}@")


def test_an_empty_database_is_no_mistake_and_stays_empty(postgres: PostgresServer) -> None:
    """The first start makes the tables."""
    name = postgres.empty()
    assert postgres_state(postgres.address(name)).endswith("without tables: the first start makes them")
    assert postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [(0,)]


def test_the_tables_of_this_version_are_known(address: str) -> None:
    """With the version of the server before them."""
    assert postgres_state(address).startswith("Postgres ")
    assert postgres_state(address).endswith(", with the tables of this version")


def test_tables_of_other_versions_are_told_apart(postgres: PostgresServer, address: str) -> None:
    """Older ones will be migrated; newer ones may be used if they say so."""
    name = database_of(address)
    postgres.run("UPDATE alembic_version SET version_num = '0001'", name)
    assert "older version (0001): the next start migrates them" in postgres_state(address)
    postgres.run("UPDATE alembic_version SET version_num = '9999'", name)
    assert "newer version (9999), which this one may use" in postgres_state(address)
    postgres.run("UPDATE notes SET value = '9999' WHERE key = 'schema/oldest'", name)
    with pytest.raises(StoreError, match="upgrade"):
        postgres_state(address)


def test_a_wrong_password_is_said(address: str, user: str) -> None:
    """Not as a server that cannot be reached, and without the password itself."""
    with pytest.raises(StoreError, match="refuses the user: check the name and the password") as caught:
        postgres_state(as_user(address, user, "wrong-" + PASSWORD))
    assert PASSWORD not in str(caught.value)


def test_a_user_who_may_make_no_tables_is_said(address: str, user: str) -> None:
    """The first start would fail by it."""
    with pytest.raises(StoreError, match="make it the owner of the database"):
        postgres_state(as_user(address, user, PASSWORD))


def test_a_read_only_server_is_said(postgres: PostgresServer, address: str) -> None:
    """So is a standby."""
    postgres.run(f"ALTER DATABASE {database_of(address)} SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match="is read-only, as a standby is"):
        postgres_state(address)


def test_no_server_is_said() -> None:
    """With the address that was tried."""
    with pytest.raises(StoreError, match=r"'db' on 127.0.0.1 cannot be reached"):
        postgres_state("postgresql://me@127.0.0.1:1/db")


@pytest.mark.parametrize(
    ("number", "said"), [(140019, "is Postgres 14: 15 or newer is needed"), (150000, None), (180006, None)]
)
def test_an_old_server_is_said(number: int, said: str | None) -> None:
    """By the number that the server gives."""
    assert complaint_about(number) == said


def test_a_look_leaves_no_connection_behind(postgres: PostgresServer, address: str) -> None:
    """Also after a start on the same database."""
    with contextlib.closing(SqlStore.open(Path(), address)):
        postgres_state(address)
    name = database_of(address)
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert postgres.run(sessions, name) == [(0,)]
