"""What every SQL database under the store promises: its schema, its turns, and how versions share it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.errors import StoreError
from gateway.store.database import Database
from gateway.store.postgres import open_postgres
from gateway.store.schema import HEAD, OLDEST, metadata
from gateway.store.sqlite import open_sqlite

ONLY_ON_POSTGRES = {"position", "exchanges_position", "exchanges_task", "exchanges_audited"}
"""The column that SQLite has without a declaration, and the indexes that hold it."""
INSERT = "INSERT INTO cycles (task, started, plan) VALUES ('sums', 1.0, '')"
COUNT = "SELECT count(*) FROM cycles"


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Open one and the same new database, as often as wanted."""
    if request.param == "sqlite":
        return lambda: open_sqlite(tmp_path, 0.05)
    server = request.getfixturevalue("postgres")
    address = server.address(server.empty())
    return lambda: open_postgres(address, 0.05)


@pytest.fixture
def database(opening: Callable[[], Database]) -> Iterator[Database]:
    with closing(opening()) as opened:
        yield opened


def test_the_migrations_build_the_schema(database: Database) -> None:
    """What they make of nothing is what the statements are written against."""

    def ours(_: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
        return database.kind == "sqlite" or name not in ONLY_ON_POSTGRES

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    """The constant that lets an up-to-date database open without Alembic."""
    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def set_revision(opening: Callable[[], Database], revision: str, oldest: str) -> None:
    with closing(opening()) as database, database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :value").bindparams(value=revision))
        connection.execute(sa.text("UPDATE notes SET value = :value").bindparams(value=oldest.encode()))


def test_a_version_that_the_next_one_expanded_for_goes_on_beside_it(opening: Callable[[], Database]) -> None:
    """So gateways of two neighbouring versions share a database while one replaces the other."""
    set_revision(opening, "9998", oldest=HEAD)
    with closing(opening()) as database, database.write() as connection:
        connection.exec_driver_sql(INSERT)


def test_a_database_that_is_too_new_is_refused(opening: Callable[[], Database]) -> None:
    """It says so, and leaves the database as it is."""
    set_revision(opening, "9999", oldest="9998")
    for _ in range(2):
        with pytest.raises(StoreError, match="newer version of preceptor"):
            opening()


def test_a_migration_leaves_the_versions_before_it_room() -> None:
    """``OLDEST`` never runs ahead of ``HEAD``: a version opens what it has migrated."""
    assert OLDEST <= HEAD


def test_a_migration_that_is_killed_leaves_nothing(
    opening: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one finds the database as it was before, and does all of it."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Database, "_note_oldest", killed)  # after the last table
        with pytest.raises(KeyboardInterrupt):
            opening()
    with closing(opening()) as database, database.write() as connection:
        connection.exec_driver_sql(INSERT)


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """Whatever ends it, and its own errors reach the caller as they are."""

    def fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql(INSERT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert connection.exec_driver_sql(COUNT).scalar() == 0


def test_readers_go_on_while_another_writes(database: Database) -> None:
    """And see the state before it, throughout their transaction."""
    with database.read() as reading:
        assert reading.exec_driver_sql(COUNT).scalar() == 0
        with database.write() as writing:
            writing.exec_driver_sql(INSERT)
            assert reading.exec_driver_sql(COUNT).scalar() == 0
        assert reading.exec_driver_sql(COUNT).scalar() == 0


def test_writers_take_turns(database: Database) -> None:
    """A second one waits for the busy time-out, and is then told what holds it up."""
    with database.write(), pytest.raises(StoreError, match="is locked by another process"), database.write():
        pass
