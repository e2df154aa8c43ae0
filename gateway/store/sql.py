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

from gateway.domain import Activation, Arm, CycleRecord, Evidence, Exchange, Feedback, Rule, RuleSet, Usage, Value
from gateway.errors import NotFound
from gateway.store.base import Graded, TaskCounts
from gateway.store.database import Database
from gateway.store.schema import activations, cycles, exchanges, feedback, rule_sets


class _Body(Value, frozen=True):
    """What a rule set holds beyond its columns."""

    rules: tuple[Rule, ...]
    evidence: Evidence | None


class SqlStore:
    """``gateway.store.base.Store`` over SQLAlchemy Core."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        # The one construct that Postgres imports from elsewhere; its SQL is the same there.
        statement = insert_or_skip(exchanges).on_conflict_do_nothing(index_elements=["id"])
        with self._database.write() as connection:
            connection.execute(statement, [_exchange_row(exchange) for exchange in batch])

    def add_feedback(self, given: Feedback) -> bool:
        known = sa.select(exchanges.c.task, exchanges.c.created).where(exchanges.c.id == given.exchange_id)
        values = msgspec.structs.asdict(given)
        values["expected"] = None if given.expected is None else msgspec.json.encode(given.expected).decode()
        with self._database.write() as connection:
            exchange = connection.execute(known).one_or_none()
            if exchange is None:
                return False
            values |= {"task": exchange.task, "exchange_created": exchange.created}
            connection.execute(sa.insert(feedback), values)
            return True

    def exchange(self, exchange_id: str) -> Exchange | None:
        statement = sa.select(exchanges).where(exchanges.c.id == exchange_id)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else _exchange(row)

    def graded(self, task: str, *, limit: int) -> list[Graded]:
        later = feedback.alias()
        superseded = sa.exists().where(
            later.c.exchange_id == feedback.c.exchange_id,
            sa.or_(
                later.c.created > feedback.c.created,
                sa.and_(later.c.created == feedback.c.created, later.c.id > feedback.c.id),
            ),
        )
        statement = (
            sa.select(exchanges, *(column.label(f"feedback_{column.name}") for column in feedback.c))
            .join(feedback, feedback.c.exchange_id == exchanges.c.id)
            .where(feedback.c.task == task, exchanges.c.status == "ok", ~superseded)
            .order_by(feedback.c.exchange_created.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [Graded(exchange=_exchange(row), feedback=_feedback(row)) for row in rows]

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        statement = (
            sa.select(exchanges)
            .where(exchanges.c.task == task, exchanges.c.arm == arm, exchanges.c.status == "ok")
            .order_by(exchanges.c.created.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_exchange(row) for row in connection.execute(statement).mappings()]

    def counts(self) -> dict[str, TaskCounts]:
        of_exchanges = (
            sa.select(
                exchanges.c.task,
                sa.func.count().label("exchanges"),
                sa.func.sum(sa.case((exchanges.c.status == "error", 1), else_=0)).label("errors"),
                sa.func.sum(exchanges.c.output_tokens).label("output_tokens"),
                sa.func.min(exchanges.c.created).label("first_seen"),
                sa.func.max(exchanges.c.created).label("last_seen"),
            )
            .where(exchanges.c.task.is_not(None))
            .group_by(exchanges.c.task)
        )
        of_feedback = sa.select(feedback.c.task, sa.func.count().label("feedback")).group_by(feedback.c.task)
        with self._database.read() as connection:
            rows = connection.execute(of_exchanges).all()
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
            row = _rule_set_row(rule_set, connection.execute(newest).scalar_one() + 1)
            published = _rule_set(row)  # what cannot be read back is not committed
            connection.execute(sa.insert(rule_sets), row)
        return published

    def rule_set(self, task: str, version: int) -> RuleSet | None:
        with self._database.read() as connection:
            row = connection.execute(_one_rule_set(task, version)).mappings().one_or_none()
        return None if row is None else _rule_set(row)

    def rule_sets(self, task: str) -> list[RuleSet]:
        statement = sa.select(rule_sets).where(rule_sets.c.task == task).order_by(rule_sets.c.version)
        with self._database.read() as connection:
            return [_rule_set(row) for row in connection.execute(statement).mappings()]

    def activate(self, activation: Activation) -> None:
        with self._database.write() as connection:
            version = activation.version
            if version is not None and connection.execute(_one_rule_set(activation.task, version)).first() is None:
                raise NotFound(f"task {activation.task!r} has no rule set {version}: see 'preceptor rules list'")
            connection.execute(sa.insert(activations), msgspec.structs.asdict(activation))

    def active(self) -> dict[str, RuleSet]:
        newest = sa.select(sa.func.max(activations.c.id)).group_by(activations.c.task)
        statement = (
            sa.select(rule_sets)
            .join(
                activations,
                sa.and_(activations.c.task == rule_sets.c.task, activations.c.version == rule_sets.c.version),
            )
            .where(activations.c.id.in_(newest))
        )
        with self._database.read() as connection:
            return {row["task"]: _rule_set(row) for row in connection.execute(statement).mappings()}

    def history(self, task: str) -> list[Activation]:
        columns = [activations.c[name] for name in Activation.__struct_fields__]
        statement = sa.select(*columns).where(activations.c.task == task).order_by(activations.c.id)
        with self._database.read() as connection:
            return [Activation(**row) for row in connection.execute(statement).mappings()]

    def revision(self) -> int:
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(activations.c.id))).scalar_one() or 0

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


def _one_rule_set(task: str, version: int) -> sa.Select[Any]:
    return sa.select(rule_sets).where(rule_sets.c.task == task, rule_sets.c.version == version)


def _exchange_row(exchange: Exchange) -> dict[str, Any]:
    row = msgspec.structs.asdict(exchange)
    usage: Usage = row.pop("usage")
    return row | msgspec.structs.asdict(usage)


def _exchange(row: Mapping[Any, Any]) -> Exchange:
    values = {name: row[name] for name in Exchange.__struct_fields__ if name != "usage"}
    return Exchange(**values, usage=Usage(prompt_tokens=row["prompt_tokens"], output_tokens=row["output_tokens"]))


def _feedback(row: Mapping[Any, Any]) -> Feedback:
    values = {name: row[f"feedback_{name}"] for name in Feedback.__struct_fields__}
    if values["expected"] is not None:
        values["expected"] = msgspec.json.decode(values["expected"])
    return Feedback(**values)


def _rule_set_row(rule_set: RuleSet, version: int) -> dict[str, Any]:
    row = msgspec.structs.asdict(rule_set)
    body = _Body(rules=row.pop("rules"), evidence=row.pop("evidence"))
    return row | {"version": version, "hash": rule_set.hash, "body": msgspec.json.encode(body).decode()}


def _rule_set(row: Mapping[Any, Any]) -> RuleSet:
    values = {name: row[name] for name in RuleSet.__struct_fields__ if name not in _Body.__struct_fields__}
    body = msgspec.json.decode(row["body"], type=_Body)
    return RuleSet(**values, rules=body.rules, evidence=body.evidence)
