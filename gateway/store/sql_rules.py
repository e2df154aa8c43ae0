"""The decision half of the SQL store: rule sets, the history of each task, learning cycles and notes.

Each public method is one transaction.
"""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.domain import ALL_TASKS, Activation, CycleRecord, RuleSet, TrafficSplit
from gateway.errors import Conflict, NotFound
from gateway.store.database import Database
from gateway.store.history import active_decisions, traffic_split
from gateway.store.redaction import (
    redacted_cycle,
    redaction,
)
from gateway.store.rows import rule_set_of, rule_set_row
from gateway.store.schema import activations, cycles, notes, rule_sets
from gateway.teaching import Example


class SqlRules:
    """Rule sets, histories, cycles and notes over SQLAlchemy Core; see ``gateway.store.base.Store``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @functools.cached_property
    def _glances(self) -> dict[str, str]:
        """Statements by note: to build one takes ten times as long as to run it."""
        return {}

    def publish(self, rule_set: RuleSet, *, after: int | None = None) -> RuleSet:
        newest = sa.select(sa.func.coalesce(sa.func.max(rule_sets.c.version), 0)).where(
            rule_sets.c.task == rule_set.task
        )
        with self._database.write() as connection:
            last = connection.execute(newest).scalar_one()
            if after is not None and last != after:
                raise Conflict(f"another version of {rule_set.task!r} was published meanwhile")
            row = rule_set_row(rule_set, last + 1)
            published = rule_set_of(row)  # an unreadable row is not committed
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

    def redact(self, drops: Callable[[Example], bool], *, now: float, by: str, why: str) -> list[RuleSet]:
        redacted: list[RuleSet] = []
        with self._database.write() as connection:
            for row in connection.execute(sa.select(rule_sets)).mappings().all():
                rule_set = rule_set_of(row)
                kept = tuple(example for example in rule_set.examples if not drops(example))
                if len(kept) == len(rule_set.examples):
                    continue
                rule_set = msgspec.structs.replace(rule_set, examples=kept)
                values = {name: rule_set_row(rule_set, rule_set.version)[name] for name in ("body", "hash")}
                connection.execute(
                    sa.update(rule_sets)
                    .where(rule_sets.c.task == rule_set.task, rule_sets.c.version == rule_set.version)
                    .values(values)
                )
                entry = redaction(rule_set, now=now, by=by, why=why)
                connection.execute(sa.insert(activations), msgspec.structs.asdict(entry))
                redacted.append(rule_set)
        return redacted

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
        return {task: splits.live for task, splits in self.traffic_splits().items() if splits.live is not None}

    def traffic_splits(self) -> dict[str, TrafficSplit]:
        newest = sa.select(sa.func.max(activations.c.id)).group_by(activations.c.task, activations.c.kind)
        statement = sa.select(activations).where(activations.c.id.in_(newest)).order_by(activations.c.id)
        histories: dict[str, list[Activation]] = {}
        splits: dict[str, TrafficSplit] = {}
        with self._database.read() as connection:
            for entry in map(_activation, connection.execute(statement).mappings()):
                histories.setdefault(entry.task, []).append(entry)
            for task in histories.keys() - {ALL_TASKS}:
                now = active_decisions(histories[task])
                wanted = [entry.version for entry in (now.live, now.canary) if entry and entry.version is not None]
                rows = connection.execute(_rule_sets(task, *wanted)).mappings()
                splits[task] = traffic_split(now, {row["version"]: rule_set_of(row) for row in rows})
        return splits

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

    def glance(self, note: str) -> tuple[int, bytes | None]:
        if note not in self._glances:
            newest = sa.select(sa.func.max(activations.c.id)).scalar_subquery()
            noted = sa.select(notes.c.value).where(notes.c.key == note).scalar_subquery()
            self._glances[note] = self._database.literally(sa.select(newest, noted))
        revision, value = self._database.glance(self._glances[note])
        return revision or 0, value

    def note(self, key: str) -> bytes | None:
        with self._database.read() as connection:
            return connection.execute(sa.select(notes.c.value).where(notes.c.key == key)).scalar_one_or_none()

    def put_note(self, key: str, value: bytes) -> None:
        statement = self._database.insert(notes).values(key=key, value=value)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))

    def swap_note(self, key: str, before: bytes | None, value: bytes) -> bool:
        statement: sa.Executable = self._database.insert(notes).values(key=key, value=value).on_conflict_do_nothing()
        if before is not None:
            statement = sa.update(notes).where(notes.c.key == key, notes.c.value == before).values(value=value)
        with self._database.write() as connection:
            return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        values = {"task": task, "started": started, "plan": bytes(plan)}
        with self._database.write() as connection:
            cycle_id = connection.execute(sa.insert(cycles).returning(cycles.c.id), values).scalar_one()
        return CycleRecord(id=cycle_id, task=task, started=started, plan=bytes(plan))

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None:
        values = {"ended": ended, "outcome": outcome, "plan": b"{}"}
        this = cycles.c.id == cycle_id
        with self._database.write() as connection:
            ending = connection.execute(sa.update(cycles).where(this, cycles.c.ended.is_(None)).values(values))
            if ending.rowcount == 0 and connection.execute(sa.select(cycles.c.id).where(this)).first() is None:
                raise NotFound(f"there is no cycle {cycle_id}")

    def redact_cycles(self, before: float, *, tasks: Collection[str] | None = None) -> int:
        wanted = [cycles.c.started < before]
        if tasks is not None:
            wanted.append(cycles.c.task.in_(tasks))
        changed = 0
        with self._database.write() as connection:
            for row in connection.execute(sa.select(cycles).where(*wanted)).mappings().all():
                redacted = redacted_cycle(CycleRecord(**row))
                if redacted is not None:
                    values = {"plan": redacted.plan, "ended": redacted.ended, "outcome": redacted.outcome}
                    connection.execute(sa.update(cycles).where(cycles.c.id == row["id"]).values(values))
                    changed += 1
        return changed

    def open_cycle(self, task: str) -> CycleRecord | None:
        newest = self._cycles(cycles.c.task == task, cycles.c.ended.is_(None), limit=1)
        return newest[0] if newest else None

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        return self._cycles(cycles.c.task == task, limit=limit)

    def _cycles(self, *where: sa.ColumnElement[bool], limit: int) -> list[CycleRecord]:
        statement = sa.select(cycles).where(*where).order_by(cycles.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [CycleRecord(**row) for row in connection.execute(statement).mappings()]


def _rule_sets(task: str, *versions: int) -> sa.Select[Any]:
    return sa.select(rule_sets).where(rule_sets.c.task == task, rule_sets.c.version.in_(versions))


def _activation(row: Mapping[Any, Any]) -> Activation:
    return Activation(**{name: row[name] for name in Activation.__struct_fields__})
