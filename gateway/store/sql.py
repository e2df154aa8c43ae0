"""A store in a SQL database: SQLite here, in Core statements that Postgres understands as well.

Each public method is one transaction. Connections, locks and errors are ``database``'s; nothing here retries, as
``writer`` does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as insert_or_skip

from gateway.domain import ALL_TASKS, SOURCES, Activation, Arm, CycleRecord, Exchange, Feedback, Lanes, RuleSet, Usage
from gateway.errors import Conflict, NotFound
from gateway.rules.history import lanes_of, standing
from gateway.store.base import MAX_FEEDBACK, WITHHELD, Graded, Observed, TaskCounts
from gateway.store.database import Database
from gateway.store.rows import exchange_of, exchange_row, feedback_of, feedback_row, rule_set_of, rule_set_row
from gateway.store.schema import activations, cycles, exchanges, feedback, notes, rule_sets, task_counts

_POSITION: sa.ColumnElement[int] = sa.literal_column("exchanges.rowid", sa.Integer)
"""In the order of recording. SQLite's own; another database needs a column for it."""


class SqlStore:
    """``gateway.store.base.Store`` over SQLAlchemy Core."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # The one construct that Postgres imports from elsewhere; its SQL is the same there.
        insert = database.compiled(insert_or_skip(exchanges).on_conflict_do_nothing(index_elements=["id"]))
        self._insert, self._inserted = insert.string, insert.positiontup or ()

    @classmethod
    def open(cls, data_dir: Path, *, busy_timeout_s: float = 5.0) -> Self:
        """Open ``data_dir/preceptor.db``, made and migrated where needed.

        A statement waits ``busy_timeout_s`` seconds for another process's transaction. Raises ``StoreError`` if the
        database cannot be opened or was written by a newer version.
        """
        return cls(Database.open(data_dir, busy_timeout_s))

    def record(self, batch: Sequence[Exchange]) -> None:
        if not batch:
            return
        rows = [exchange_row(exchange) for exchange in batch]
        with self._database.write() as connection:
            # What SQLAlchemy does for each row of a statement takes as long as writing it.
            connection.exec_driver_sql(self._insert, [tuple([row[name] for name in self._inserted]) for row in rows])

    def add_feedback(self, given: Feedback) -> bool:
        # Of an exchange that is kept out of learning no text was stored.
        withheld = sa.and_(exchanges.c.reply.is_(None), exchanges.c.request == b"{}").label("withheld")
        about = (exchanges.c.task, exchanges.c.created, exchanges.c.arm, withheld)
        known = sa.select(*about).where(exchanges.c.id == given.exchange_id)
        same = sa.select(sa.func.count()).where(
            feedback.c.exchange_id == given.exchange_id, feedback.c.source == given.source
        )
        with self._database.write() as connection:
            exchange = connection.execute(known).one_or_none()
            if exchange is None or (exchange.arm == "shadow" and given.source == "client"):
                return False
            if exchange.withheld:
                raise Conflict(WITHHELD, param="id", code="exchange_withheld")
            said = connection.execute(same).scalar_one()
            if said and given.source != "client":
                return True
            if said >= MAX_FEEDBACK:
                raise Conflict(f"exchange {given.exchange_id!r} has feedback enough", param="id")
            values = feedback_row(given) | {"task": exchange.task, "exchange_created": exchange.created}
            connection.execute(sa.insert(feedback), values)
            return True

    def exchange(self, exchange_id: str) -> Exchange | None:
        statement = sa.select(exchanges).where(exchanges.c.id == exchange_id)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else exchange_of(row)

    def graded(self, task: str, *, limit: int) -> list[Graded]:
        statement = (
            sa.select(exchanges, *(column.label(f"feedback_{column.name}") for column in feedback.c))
            .join(feedback, feedback.c.exchange_id == exchanges.c.id)
            .where(feedback.c.task == task, exchanges.c.status == "ok", _counts())
            .order_by(feedback.c.exchange_created.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [Graded(exchange=exchange_of(row), feedback=feedback_of(row)) for row in rows]

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        statement = (
            sa.select(exchanges, _POSITION.label("position")).where(after < _POSITION).order_by(_POSITION).limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [exchange_of(row) for row in rows], rows[-1]["position"] if rows else after

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        known = ("id", "created", "model", "arm", "rules", "status", "latency_ms", "prompt_tokens", "output_tokens")
        given = (feedback.c.correct, feedback.c.score, feedback.c.source, feedback.c.comment)
        statement = (
            sa.select(*(exchanges.c[name] for name in known), *given)
            .select_from(exchanges)
            .outerjoin(feedback, sa.and_(feedback.c.exchange_id == exchanges.c.id, _counts()))
            .where(exchanges.c.task == task, exchanges.c.created >= since)
            .order_by(exchanges.c.created.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [_observed(row) for row in reversed(rows)]

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        statement = (
            sa.select(exchanges)
            .where(exchanges.c.task == task, exchanges.c.arm == arm, exchanges.c.status == "ok")
            .order_by(exchanges.c.created.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [exchange_of(row) for row in connection.execute(statement).mappings()]

    def unclaimed(self, *, limit: int) -> list[Exchange]:
        statement = (
            sa.select(exchanges)
            .where(exchanges.c.task.is_(None), exchanges.c.status == "ok", exchanges.c.request != b"{}")
            .order_by(exchanges.c.created.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [exchange_of(row) for row in connection.execute(statement).mappings()]

    def forget(self, before: float, *, limit: int) -> int:
        newest = sa.select(sa.func.max(_POSITION)).select_from(exchanges).scalar_subquery()
        old = (
            sa.select(exchanges.c.id)
            .where(exchanges.c.created < before, newest > _POSITION)
            .order_by(exchanges.c.created)
            .limit(limit)
        )
        with self._database.read() as connection:  # found before others are kept from writing
            ids = connection.execute(old).scalars().all()
        if ids:
            with self._database.write() as connection:
                connection.execute(sa.delete(feedback).where(feedback.c.exchange_id.in_(ids)))
                connection.execute(sa.delete(exchanges).where(exchanges.c.id.in_(ids)))
        return len(ids)

    def counts(self) -> dict[str, TaskCounts]:
        # Of a shadow nobody else speaks: few exchanges have to be looked up.
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

    def publish(self, rule_set: RuleSet) -> RuleSet:
        newest = sa.select(sa.func.coalesce(sa.func.max(rule_sets.c.version), 0)).where(
            rule_sets.c.task == rule_set.task
        )
        with self._database.write() as connection:
            row = rule_set_row(rule_set, connection.execute(newest).scalar_one() + 1)
            published = rule_set_of(row)  # what cannot be read back is not committed
            connection.execute(sa.insert(rule_sets), row)
        return published

    def rule_set(self, task: str, version: int) -> RuleSet | None:
        with self._database.read() as connection:
            row = connection.execute(_rule_sets(task, version)).mappings().one_or_none()
        return None if row is None else rule_set_of(row)

    def rule_sets(self, task: str) -> list[RuleSet]:
        statement = sa.select(rule_sets).where(rule_sets.c.task == task).order_by(rule_sets.c.version)
        with self._database.read() as connection:
            return [rule_set_of(row) for row in connection.execute(statement).mappings()]

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        entries = sa.select(sa.func.count()).where(activations.c.task == activation.task)
        with self._database.write() as connection:
            version = activation.version
            if version is not None and connection.execute(_rule_sets(activation.task, version)).first() is None:
                raise NotFound(f"task {activation.task!r} has no rule set {version}: see 'preceptor rules list'")
            if after is not None and connection.execute(entries).scalar_one() != after:
                raise Conflict(f"somebody else decided about the rule sets of {activation.task!r} meanwhile")
            connection.execute(sa.insert(activations), msgspec.structs.asdict(activation))

    def active(self) -> dict[str, RuleSet]:
        return {task: lanes.live for task, lanes in self.lanes().items() if lanes.live is not None}

    def lanes(self) -> dict[str, Lanes]:
        newest = sa.select(sa.func.max(activations.c.id)).group_by(activations.c.task, activations.c.kind)
        statement = sa.select(activations).where(activations.c.id.in_(newest)).order_by(activations.c.id)
        histories: dict[str, list[Activation]] = {}
        lanes: dict[str, Lanes] = {}
        with self._database.read() as connection:
            for entry in map(_activation, connection.execute(statement).mappings()):
                histories.setdefault(entry.task, []).append(entry)
            for task in histories.keys() - {ALL_TASKS}:
                now = standing(histories[task])
                wanted = [entry.version for entry in (now.live, now.canary) if entry and entry.version is not None]
                rows = connection.execute(_rule_sets(task, *wanted)).mappings()
                lanes[task] = lanes_of(now, {row["version"]: rule_set_of(row) for row in rows})
        return lanes

    def injecting(self) -> bool:
        statement = (
            sa.select(activations.c.share)
            .where(activations.c.task == ALL_TASKS, activations.c.kind == "injection")
            .order_by(activations.c.id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(statement).scalar() != 0.0

    def history(self, task: str) -> list[Activation]:
        statement = sa.select(activations).where(activations.c.task == task).order_by(activations.c.id)
        with self._database.read() as connection:
            return [_activation(row) for row in connection.execute(statement).mappings()]

    def revision(self) -> int:
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(activations.c.id))).scalar_one() or 0

    def note(self, key: str) -> bytes | None:
        with self._database.read() as connection:
            return connection.execute(sa.select(notes.c.value).where(notes.c.key == key)).scalar_one_or_none()

    def put_note(self, key: str, value: bytes) -> None:
        statement = insert_or_skip(notes).values(key=key, value=value)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        values = {"task": task, "started": started, "plan": bytes(plan)}
        with self._database.write() as connection:
            cycle_id = connection.execute(sa.insert(cycles).returning(cycles.c.id), values).scalar_one()
        return CycleRecord(id=cycle_id, task=task, started=started, plan=bytes(plan))

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None:
        statement = sa.update(cycles).where(cycles.c.id == cycle_id).values(ended=ended, outcome=outcome)
        with self._database.write() as connection:
            if connection.execute(statement).rowcount == 0:
                raise NotFound(f"there is no cycle {cycle_id}")

    def open_cycle(self, task: str) -> CycleRecord | None:
        found = self._cycles(cycles.c.task == task, cycles.c.ended.is_(None), limit=1)
        return found[0] if found else None

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        return self._cycles(cycles.c.task == task, limit=limit)

    def _cycles(self, *where: sa.ColumnElement[bool], limit: int) -> list[CycleRecord]:
        statement = sa.select(cycles).where(*where).order_by(cycles.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [CycleRecord(**row) for row in connection.execute(statement).mappings()]

    def close(self) -> None:
        self._database.close()


def _rule_sets(task: str, *versions: int) -> sa.Select[Any]:
    return sa.select(rule_sets).where(rule_sets.c.task == task, rule_sets.c.version.in_(versions))


def _activation(row: Mapping[Any, Any]) -> Activation:
    return Activation(**{name: row[name] for name in Activation.__struct_fields__})


def _observed(row: sa.Row[Any]) -> Observed:
    return Observed(
        id=row.id,
        created=row.created,
        model=row.model,
        arm=row.arm,
        rules=row.rules,
        status=row.status,
        latency_ms=row.latency_ms,
        usage=Usage(prompt_tokens=row.prompt_tokens, output_tokens=row.output_tokens),
        correct=row.correct if row.score is None or row.correct is not None else row.score >= 0.5,
        source=row.source,
        signals=row.comment or "" if row.source == "outcome" else "",
    )


def _counts() -> sa.ColumnElement[bool]:
    """That a row of feedback is the one that counts for its exchange."""
    other = feedback.alias()
    newer = sa.or_(
        other.c.created > feedback.c.created,
        sa.and_(other.c.created == feedback.c.created, other.c.id > feedback.c.id),
    )
    return ~sa.exists().where(
        other.c.exchange_id == feedback.c.exchange_id,
        sa.or_(_rank(other) < _rank(feedback), sa.and_(_rank(other) == _rank(feedback), newer)),
    )


def _rank(table: sa.FromClause) -> sa.ColumnElement[int]:
    return sa.case({source: rank for rank, source in enumerate(SOURCES)}, value=table.c.source)
