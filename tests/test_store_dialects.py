"""Expressions that SQLite and Postgres write in different words."""

import pytest
import sqlalchemy as sa

from gateway.store.dialects import POSITION, contains


@pytest.mark.parametrize(
    ("dialect", "position", "held"),
    [
        (sa.make_url("sqlite://").get_dialect()(), "exchanges.rowid", "instr('ab', 'b') > 0"),
        (sa.make_url("postgresql://").get_dialect()(), "exchanges.position", "position('b' IN 'ab') > 0"),
    ],
    ids=["sqlite", "postgres"],
)
def test_each_database_gets_its_own_words(dialect: sa.Dialect, position: str, held: str) -> None:
    """The place of an exchange, and bytes that hold others."""
    found = contains(sa.literal("ab"), sa.literal("b"))
    assert str(POSITION.compile(dialect=dialect)) == position
    assert str(found.compile(dialect=dialect, compile_kwargs={"literal_binds": True})) == held
