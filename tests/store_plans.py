"""The query plans of a store's reads."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from gateway.store.sql import SqlStore


def plan_of(store: SqlStore, read: Callable[[SqlStore], object]) -> str:
    """The plans of every SELECT that a read sends, as SQLite explains them."""
    sent: list[tuple[str, Any]] = []
    engine = store._database._reading

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        sent.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", listen)
    read(store)
    sa.event.remove(engine, "before_cursor_execute", listen)
    with store._database.read() as connection:
        return " ".join(
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
            for statement, parameters in sent
            if statement.startswith("SELECT")
        )
