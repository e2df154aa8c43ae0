"""The half of the SQL store that lists: a few tasks at once, and exchanges newest first.

Each public method is one transaction, bounded by the size of its page.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.domain import Activation, Feedback
from gateway.store.base import TaskCounts
from gateway.store.database import Database
from gateway.store.dialects import POSITION, contains
from gateway.store.listings import LOOKED_AT, ExchangePage, ExchangeSearch
from gateway.store.rows import exchange_of, feedback_of, json_texts
from gateway.store.schema import activations, exchanges, feedback, notes, task_counts
from gateway.store.sql_exchanges import prefixed


class SqlListings:
    """Lists over SQLAlchemy Core; see ``gateway.store.base.Store``."""

    _database: Database

    def feedback_on(self, exchange_id: str) -> list[Feedback]:
        statement = sa.select(*prefixed()).where(feedback.c.exchange_id == exchange_id).order_by(feedback.c.id)
        with self._database.read() as connection:
            return [feedback_of(row) for row in connection.execute(statement).mappings()]

    def notes(self, keys: Sequence[str]) -> dict[str, bytes]:
        statement = sa.select(notes).where(notes.c.key.in_(keys))
        with self._database.read() as connection:
            return {row.key: row.value for row in connection.execute(statement)}

    def counts_of(self, tasks: Sequence[str]) -> dict[str, TaskCounts]:
        statement = sa.select(task_counts).where(task_counts.c.task.in_(tasks))
        with self._database.read() as connection:
            return {
                row.task: TaskCounts(**{name: value for name, value in row._mapping.items() if name != "task"})
                for row in connection.execute(statement)
            }

    def newest_decisions(self, tasks: Sequence[str]) -> dict[str, list[Activation]]:
        newest = (
            sa.select(sa.func.max(activations.c.id))
            .where(activations.c.task.in_(tasks))
            .group_by(activations.c.task, activations.c.kind)
        )
        statement = sa.select(activations).where(activations.c.id.in_(newest)).order_by(activations.c.id)
        return self._decisions(statement)

    def decisions(self, *, limit: int) -> list[Activation]:
        statement = sa.select(activations).order_by(activations.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(statement)]

    def _decisions(self, statement: sa.Select[tuple[object, ...]]) -> dict[str, list[Activation]]:
        by_task: dict[str, list[Activation]] = {}
        with self._database.read() as connection:
            for entry in map(_entry, connection.execute(statement)):
                by_task.setdefault(entry.task, []).append(entry)
        return by_task

    def search(self, wanted: ExchangeSearch, *, before: int | None, limit: int) -> ExchangePage:
        window = sa.select(POSITION.label("position")).where(exchanges.c.arm != "shadow")
        if wanted.task is not None:
            window = window.where(exchanges.c.task == wanted.task)
        if before is not None:
            window = window.where(before > POSITION)
        newest = window.order_by(POSITION.desc()).limit(LOOKED_AT).subquery()
        statement = (
            sa.select(exchanges, POSITION.label("position"))
            .where(POSITION.in_(sa.select(newest.c.position)), *_conditions(wanted))
            .order_by(POSITION.desc())
            .limit(limit)
        )
        span = sa.select(sa.func.count(), sa.func.min(newest.c.position))
        with self._database.read() as connection:
            looked_at, oldest = connection.execute(span).one()
            rows = connection.execute(statement).mappings().all()
        full = len(rows) == limit
        return ExchangePage(
            exchanges=tuple(exchange_of(row) for row in rows),
            looked_at=looked_at,
            before=rows[-1]["position"] if full else oldest if looked_at == LOOKED_AT else None,
        )


def _conditions(wanted: ExchangeSearch) -> list[sa.ColumnElement[bool]]:
    given = {"key": wanted.key, "status": wanted.status, "arm": wanted.arm}
    conditions = [exchanges.c[name] == value for name, value in given.items() if value is not None]
    if wanted.text:
        inside = [contains(exchanges.c.request, text[1:-1]) for text in json_texts(wanted.text)]
        conditions.append(sa.or_(*inside, contains(exchanges.c.reply, wanted.text)))
    return conditions


def _entry(row: sa.Row[tuple[object, ...]]) -> Activation:
    return Activation(**{name: row._mapping[name] for name in Activation.__struct_fields__})
