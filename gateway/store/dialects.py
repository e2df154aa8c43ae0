"""Expressions that SQLite and Postgres write in different words."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class _Position(sa.ColumnElement[int]):
    inherit_cache = True
    type = sa.BigInteger()


class contains(sa.sql.expression.FunctionElement[bool]):  # noqa: N801 - a function of SQL
    """Bytes that hold other bytes."""

    inherit_cache = True
    type = sa.Boolean()
    name = "contains"


POSITION: sa.ColumnElement[int] = _Position()
"""Of an exchange, in the order of recording."""


@compiles(_Position)
def _column(element: _Position, compiler: SQLCompiler, **options: Any) -> str:
    return "exchanges.position"


@compiles(_Position, "sqlite")
def _rowid(element: _Position, compiler: SQLCompiler, **options: Any) -> str:
    return "exchanges.rowid"


@compiles(contains)
def _position_in(element: contains, compiler: SQLCompiler, **options: Any) -> str:
    whole, part = element.clauses
    return f"position({compiler.process(part, **options)} IN {compiler.process(whole, **options)}) > 0"


@compiles(contains, "sqlite")
def _instr(element: contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}) > 0"
