"""The traffic half of the SQL store: exchanges, the judgements of them, and counts.

Each public method is one transaction.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from gateway.domain import SOURCES, Arm, Exchange, Feedback
from gateway.errors import Conflict
from gateway.routing.conversation import tenant_digest
from gateway.store.base import (
    AUTOMATIC,
    MAX_FEEDBACK,
    MAX_FEEDBACK_OF_ALL,
    WITHHELD,
    Audited,
    Disputed,
    Graded,
    TaskCounts,
    since_then,
)
from gateway.store.database import Database
from gateway.store.dialects import POSITION, contains
from gateway.store.rows import (
    NO_CONTENT,
    exchange_of,
    feedback_of,
    feedback_row,
    json_texts,
    row_bytes,
    stored_texts,
    values_of,
)
from gateway.store.schema import AUDITED, UNGRADED, exchanges, feedback, task_counts
from gateway.store.selection import Address, Selection, fitting, page_of, selects, shadow_id

_CORRECT: sa.ColumnElement[bool] = sa.func.coalesce(
    feedback.c.correct, feedback.c.score >= 0.5, feedback.c.verdict >= 0.5
)
"""``Feedback.is_correct``."""
_ROWS = 50
"""Rows of an ``INSERT``. After each statement the driver takes Python's lock again, from the thread with the requests:
one row at a time costs a tenth of the gateway's throughput (``tests.bench.gateway``)."""
_SHADOW_ID: sa.ColumnElement[str] = sa.literal(shadow_id("")) + exchanges.c.id
"""``selection.shadow_id``."""
_FULL = sa.or_(*(exchanges.c[name].is_distinct_from(value) for name, value in NO_CONTENT.items()))
_RECENT = 10_000
"""Newest judgements of a task among which contradictions are looked for."""


class SqlExchanges:
    """Exchanges and feedback over SQLAlchemy Core; see ``gateway.store.base.Store``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inserted = database.insert(exchanges).on_conflict_do_nothing(index_elements=["id"])
        one_row = database.compiled(self._inserted)
        self._columns = tuple(one_row.positiontup or ())
        self._insert, self._values = one_row.string, values_of(self._columns)

    @cached_property
    def _insert_many(self) -> str:
        """The statement for ``_ROWS`` rows; most commands never need it."""
        rows = self._inserted.values([dict.fromkeys(self._columns)] * _ROWS)
        return self._database.compiled(rows).string

    def record(self, batch: Sequence[Exchange]) -> None:
        if not batch:
            return
        rows = [self._values(exchange) for exchange in batch]
        many = len(rows) - len(rows) % _ROWS
        with self._database.write() as connection:
            # SQLAlchemy's own way with each row takes as long as writing.
            for start in range(0, many, _ROWS):
                values = tuple(chain.from_iterable(rows[start : start + _ROWS]))
                connection.exec_driver_sql(self._insert_many, values)
            if rows[many:]:
                connection.exec_driver_sql(self._insert, rows[many:])

    def add_feedback(self, given: Feedback) -> bool:
        # An exchange kept out of learning has no text in the store.
        withheld = sa.and_(exchanges.c.reply.is_(None), exchanges.c.request == b"{}").label("withheld")
        about = (exchanges.c.task, exchanges.c.created, exchanges.c.arm, withheld)
        known = sa.select(*about).where(exchanges.c.id == given.exchange_id)
        same_sender = sa.and_(
            feedback.c.source == given.source,
            feedback.c.key.is_not_distinct_from(given.key),
            feedback.c.labeller == given.labeller,
        )
        kept = sa.select(
            sa.func.count().label("of_all"),
            sa.func.count().filter(feedback.c.source == given.source).label("of_source"),
            sa.func.count().filter(same_sender).label("of_sender"),
        ).where(feedback.c.exchange_id == given.exchange_id)
        with self._database.write() as connection:
            exchange = connection.execute(known).one_or_none()
            if exchange is None or (exchange.arm == "shadow" and given.source == "client"):
                return False
            if exchange.withheld:
                raise Conflict(WITHHELD, param="id", code="exchange_withheld")
            counts = connection.execute(kept).one()
            if counts.of_source and given.source in AUTOMATIC:
                return True
            if counts.of_sender >= MAX_FEEDBACK or counts.of_all >= MAX_FEEDBACK_OF_ALL:
                raise Conflict(f"exchange {given.exchange_id!r} has feedback enough", param="id")
            values = feedback_row(given) | {"task": exchange.task, "exchange_created": exchange.created}
            connection.execute(sa.insert(feedback), values)
            return True

    def find(self, address: Address) -> str | None:
        column, wanted = (exchanges.c.id, address.id) if address.id is not None else (exchanges.c.ref, address.ref)
        allowed = sa.true() if address.any_key else sa.or_(exchanges.c.key.is_(None), exchanges.c.key == address.key)
        statement = (
            sa.select(exchanges.c.id)
            .where(column.is_not(None), column == wanted, exchanges.c.arm != "shadow", allowed)
            .order_by(POSITION.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one_or_none()

    def exchange(self, exchange_id: str) -> Exchange | None:
        statement = sa.select(exchanges).where(exchanges.c.id == exchange_id)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else exchange_of(row)

    def graded(self, task: str, *, limit: int, max_bytes: int | None = None) -> list[Graded]:
        statement = (
            _graded()
            .where(feedback.c.task == task, exchanges.c.status == "ok", has_precedence())
            .order_by(feedback.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            statement = _within(connection, statement, max_bytes)
            rows = sorted(connection.execute(statement).mappings(), key=itemgetter("position"), reverse=True)
        return [Graded(exchange=exchange_of(row), feedback=feedback_of(row)) for row in rows]

    def ungraded(self, *, limit: int) -> list[Graded]:
        statement = _graded().where(UNGRADED).order_by(feedback.c.id).limit(limit)
        with self._database.read() as connection:
            rows = page_of(connection.execute(statement).mappings(), row_bytes)
        return [Graded(exchange=exchange_of(row), feedback=feedback_of(row)) for row in rows]

    def put_verdict(self, given: Feedback, verdict: float | None, *, at: float) -> bool:
        statement = (
            sa.update(feedback)
            .where(
                feedback.c.exchange_id == given.exchange_id,
                feedback.c.expected.in_(stored_texts(given.expected)),
            )
            .values(verdict=verdict, verdict_at=at)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0

    def audited(self, task: str, *, since: float, limit: int, max_bytes: int | None = None) -> list[Audited]:
        drawn = sa.select(exchanges).where(exchanges.c.task == task, AUDITED).order_by(POSITION.desc()).limit(limit)
        given: dict[str, list[Feedback]] = {}
        with self._database.read() as connection:
            drawn = _within(connection, drawn, max_bytes)
            about = sa.select(*prefixed()).where(feedback.c.exchange_id.in_(drawn.with_only_columns(exchanges.c.id)))
            beside = drawn.with_only_columns(_SHADOW_ID).correlate(None)
            background = _graded().where(exchanges.c.id.in_(beside), exchanges.c.arm == "shadow", has_precedence())
            rows = since_then(connection.execute(drawn).mappings().all(), since, itemgetter("created"))
            for row in sorted(connection.execute(about).mappings(), key=itemgetter("feedback_id")):
                given.setdefault(row["feedback_exchange_id"], []).append(feedback_of(row))
            shadows = {
                row["id"]: Graded(exchange=exchange_of(row), feedback=feedback_of(row))
                for row in connection.execute(background).mappings()
            }
        return [
            Audited(
                exchange=exchange_of(row),
                feedback=tuple(given.get(row["id"], ())),
                shadow=shadows.get(shadow_id(row["id"])),
            )
            for row in rows
        ]

    def disputed(self, task: str, *, limit: int) -> list[Disputed]:
        recent = (
            sa.select(feedback.c.id, feedback.c.exchange_id, feedback.c.correct, feedback.c.verdict)
            .add_columns(_CORRECT.label("right"))
            .where(feedback.c.task == task, feedback.c.source.in_(("label", "client")))
            .order_by(feedback.c.id.desc())
            .limit(_RECENT)
            .subquery()
        )
        right = sa.case((recent.c.right, 1), (~recent.c.right, 0))
        with_itself = sa.case((recent.c.correct != (recent.c.verdict >= 0.5), 1), else_=0)
        statement = (
            sa.select(recent.c.exchange_id)
            .group_by(recent.c.exchange_id)
            .having(sa.or_(sa.func.min(right) != sa.func.max(right), sa.func.max(with_itself) == 1))
            .order_by(sa.func.max(recent.c.id).desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            given: dict[str, list[Feedback]] = {id_: [] for id_ in connection.execute(statement).scalars()}
            about = sa.select(*prefixed()).where(feedback.c.exchange_id.in_(given)).order_by(feedback.c.id)
            for row in connection.execute(about).mappings():
                given[row["feedback_exchange_id"]].append(feedback_of(row))
        return [Disputed(exchange_id=id_, feedback=tuple(judgements)) for id_, judgements in given.items()]

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        return self._read_on(after, limit)

    def select(self, selection: Selection, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        wanted: list[sa.ColumnElement[bool]] = [exchanges.c.id.in_(selection.ids)]
        if selection.key is not None:
            wanted.append(exchanges.c.key == selection.key)
        if selection.user is not None:
            wanted.append(exchanges.c.tenant == tenant_digest([selection.user]))
            # Earlier versions recorded no tenant: their requests are searched for the name, and then read.
            named = (contains(exchanges.c.request, text) for text in json_texts(selection.user))
            wanted.append(sa.and_(exchanges.c.tenant.is_(None), sa.or_(*named)))
        page, position = self._read_on(after, limit, sa.or_(*wanted))
        return [exchange for exchange in page if selects(selection, exchange)], position

    def _read_on(self, after: int, limit: int, *wanted: sa.ColumnElement[bool]) -> tuple[list[Exchange], int]:
        statement = (
            sa.select(exchanges, POSITION.label("position"))
            .where(after < POSITION, *wanted)
            .order_by(POSITION)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = page_of(connection.execute(statement).mappings(), row_bytes)
        return [exchange_of(row) for row in rows], rows[-1]["position"] if rows else after

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        statement = (
            sa.select(exchanges)
            .where(exchanges.c.task == task, exchanges.c.arm == arm, exchanges.c.status == "ok")
            .order_by(POSITION.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [exchange_of(row) for row in connection.execute(statement).mappings()]

    def unclaimed(self, *, limit: int) -> list[Exchange]:
        statement = (
            sa.select(exchanges)
            .where(exchanges.c.task.is_(None), exchanges.c.status == "ok", exchanges.c.request != b"{}")
            .order_by(POSITION.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [exchange_of(row) for row in connection.execute(statement).mappings()]

    def forget(self, before: float, *, limit: int) -> int:
        newest = sa.select(sa.func.max(POSITION)).select_from(exchanges).scalar_subquery()
        old = (
            sa.select(exchanges.c.id)
            .where(exchanges.c.created < before, newest > POSITION)
            .order_by(exchanges.c.created)
            .limit(limit)
        )
        last = sa.select(exchanges.c.id).where(exchanges.c.created < before, newest == POSITION, _FULL)
        with self._database.read() as connection:  # before other writers are held up
            ids = connection.execute(old).scalars().all()
            kept = connection.execute(last).scalars().all() if len(ids) < limit else ()
        if ids:
            with self._database.write() as connection:
                connection.execute(sa.delete(feedback).where(feedback.c.exchange_id.in_(ids)))
                connection.execute(sa.delete(exchanges).where(exchanges.c.id.in_(ids)))
        if kept:
            self.delete(kept)
        return len(ids)

    def delete(self, ids: Sequence[str]) -> int:
        newest = sa.select(sa.func.max(POSITION)).select_from(exchanges).scalar_subquery()
        meant = exchanges.c.id.in_([*ids, *map(shadow_id, ids)])
        known = sa.select(sa.func.count()).where(exchanges.c.id.in_(ids))
        with self._database.write() as connection:
            number: int = connection.execute(known).scalar_one()
            connection.execute(sa.delete(feedback).where(feedback.c.exchange_id.in_([*ids, *map(shadow_id, ids)])))
            connection.execute(sa.delete(exchanges).where(meant, newest > POSITION))
            connection.execute(sa.update(exchanges).where(meant).values(NO_CONTENT))
        return number

    def counts(self) -> dict[str, TaskCounts]:
        # Only shadows have feedback of this source on their own reply: few exchanges have to be looked up.
        of_shadow = sa.exists().where(exchanges.c.id == feedback.c.exchange_id, exchanges.c.arm == "shadow")
        of_feedback = (
            sa.select(feedback.c.task, sa.func.count().label("feedback"))
            .where(sa.or_(feedback.c.source != "shadow", ~of_shadow))
            .group_by(feedback.c.task)
        )
        with self._database.read() as connection:
            rows = connection.execute(sa.select(task_counts)).all()
            given = {row.task: row.feedback for row in connection.execute(of_feedback)}
        return {
            row.task: TaskCounts(
                exchanges=row.exchanges,
                errors=row.errors,
                feedback=given.get(row.task, 0),
                output_tokens=row.output_tokens,
                first_seen=row.first_seen,
                last_seen=row.last_seen,
            )
            for row in rows
        }


def _graded() -> sa.Select[Any]:
    return sa.select(exchanges, POSITION.label("position"), *prefixed()).join(
        feedback, feedback.c.exchange_id == exchanges.c.id
    )


def _within(connection: sa.Connection, statement: sa.Select[Any], max_bytes: int | None) -> sa.Select[Any]:
    """Return the statement without the largest exchanges, if all of its texts have more than ``max_bytes``."""
    if max_bytes is None:
        return statement
    size = sa.func.length(exchanges.c.request) + sa.func.coalesce(sa.func.length(exchanges.c.reply), 0)
    sizes = [
        (id_, int(bytes_)) for id_, bytes_ in connection.execute(statement.with_only_columns(exchanges.c.id, size))
    ]
    if sum(bytes_ for _, bytes_ in sizes) <= max_bytes:
        return statement
    return statement.where(exchanges.c.id.in_(fitting(sizes, max_bytes)))


def prefixed() -> list[sa.ColumnElement[Any]]:
    return [column.label(f"feedback_{column.name}") for column in feedback.c]


def has_precedence() -> sa.ColumnElement[bool]:
    """Return the condition for the feedback with precedence among all of its exchange."""
    other = feedback.alias()
    newer = other.c.id > feedback.c.id
    return ~sa.exists().where(
        other.c.exchange_id == feedback.c.exchange_id,
        sa.or_(_rank(other) < _rank(feedback), sa.and_(_rank(other) == _rank(feedback), newer)),
    )


def _rank(table: sa.FromClause) -> sa.ColumnElement[int]:
    return sa.case({source: rank for rank, source in enumerate(SOURCES)}, value=table.c.source)
