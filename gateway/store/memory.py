"""A store in memory for tests, ours and users': the SQL store's contract, gone with the process."""

import threading
from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from gateway.domain import (
    ALL_TASKS,
    SOURCES,
    Activation,
    Arm,
    CycleRecord,
    Exchange,
    Feedback,
    RuleSet,
    TrafficSplit,
)
from gateway.errors import Conflict, NotFound
from gateway.store.base import AUTOMATIC, MAX_FEEDBACK, WITHHELD, Audited, Graded, Observed, TaskCounts
from gateway.store.history import active_decisions, traffic_split
from gateway.store.rows import encode_expected

_created = attrgetter("created")


class MemoryStore:
    """``gateway.store.base.Store`` over dictionaries and lists, one lock around each method."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._exchanges: dict[str, Exchange] = {}
        self._positions: dict[str, int] = {}
        self._feedback: dict[str, list[Feedback]] = {}
        self._rule_sets: dict[str, list[RuleSet]] = {}
        self._activations: list[Activation] = []
        self._cycles: list[CycleRecord] = []
        self._notes: dict[str, bytes] = {}

    def record(self, batch: Sequence[Exchange]) -> None:
        with self._lock:
            for exchange in batch:
                if exchange.id not in self._exchanges:
                    self._exchanges[exchange.id] = exchange
                    self._positions[exchange.id] = self._newest() + 1

    def _newest(self) -> int:
        """The position of the exchange that was recorded last."""
        return next(reversed(self._positions.values()), 0)

    def add_feedback(self, feedback: Feedback) -> bool:
        with self._lock:
            if feedback.exchange_id not in self._exchanges:
                return False
            exchange = self._exchanges[feedback.exchange_id]
            if exchange.arm == "shadow" and feedback.source == "client":
                return False
            if exchange.reply is None and exchange.request == b"{}":
                raise Conflict(WITHHELD, param="id", code="exchange_withheld")
            given = self._feedback.setdefault(feedback.exchange_id, [])
            kept = sum(other.source == feedback.source for other in given)
            if kept and feedback.source in AUTOMATIC:
                return True
            if kept >= MAX_FEEDBACK:
                raise Conflict(f"exchange {feedback.exchange_id!r} has feedback enough", param="id")
            given.append(feedback)
            return True

    def exchange(self, exchange_id: str) -> Exchange | None:
        with self._lock:
            return self._exchanges.get(exchange_id)

    def graded(self, task: str, *, limit: int) -> list[Graded]:
        with self._lock:
            graded = [
                Graded(exchange=exchange, feedback=_with_precedence(self._feedback[exchange.id]))
                for exchange in self._exchanges.values()
                if exchange.task == task and exchange.status == "ok" and exchange.id in self._feedback
            ]
        return sorted(graded, key=attrgetter("exchange.created"), reverse=True)[:limit]

    def ungraded(self, *, limit: int) -> list[Graded]:
        with self._lock:
            waiting = [
                Graded(exchange=self._exchanges[feedback.exchange_id], feedback=feedback)
                for given in self._feedback.values()
                for feedback in given
                if feedback.expected is not None
                and (feedback.correct, feedback.score, feedback.verdict_at) == (None, None, None)
            ]
        return sorted(waiting, key=attrgetter("feedback.created"))[:limit]

    def put_verdict(self, feedback: Feedback, verdict: float | None, *, at: float) -> bool:
        expected = encode_expected(feedback.expected)
        with self._lock:
            given = self._feedback.get(feedback.exchange_id, [])
            same = [
                index
                for index, other in enumerate(given)
                if expected is not None and encode_expected(other.expected) == expected
            ]
            for index in same:
                given[index] = msgspec.structs.replace(given[index], verdict=verdict, verdict_at=at)
            return bool(same)

    def audited(self, task: str, *, since: float, limit: int) -> list[Audited]:
        with self._lock:
            drawn = [
                Audited(exchange=exchange, feedback=tuple(self._feedback.get(exchange.id, ())))
                for exchange in self._exchanges.values()
                if exchange.task == task and exchange.created >= since and exchange.audit_rate > 0
            ]
        return sorted(drawn, key=attrgetter("exchange.created"), reverse=True)[:limit]

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        with self._lock:
            ids = [id_ for id_, position in self._positions.items() if position > after][:limit]
            return [self._exchanges[id_] for id_ in ids], self._positions[ids[-1]] if ids else after

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        with self._lock:
            recent = sorted(
                self._of(lambda exchange: exchange.task == task and exchange.created >= since), key=_created
            )
            given = {id_: _with_precedence(feedback) for id_, feedback in self._feedback.items()}
        return [_observed(exchange, given.get(exchange.id)) for exchange in recent[-limit:]]

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        with self._lock:
            answers = self._of(lambda exchange: (exchange.task, exchange.arm, exchange.status) == (task, arm, "ok"))
        return sorted(answers, key=_created, reverse=True)[:limit]

    def unclaimed(self, *, limit: int) -> list[Exchange]:
        with self._lock:
            learnable = self._of(
                lambda exchange: (exchange.task, exchange.status) == (None, "ok") and exchange.request != b"{}"
            )
        return sorted(learnable, key=_created, reverse=True)[:limit]

    def _of(self, wanted: Callable[[Exchange], bool]) -> list[Exchange]:
        return [exchange for exchange in self._exchanges.values() if wanted(exchange)]

    def forget(self, before: float, *, limit: int) -> int:
        with self._lock:
            newest = self._newest()
            old = sorted(
                self._of(lambda exchange: exchange.created < before and self._positions[exchange.id] < newest),
                key=_created,
            )[:limit]
            for exchange in old:
                del self._exchanges[exchange.id], self._positions[exchange.id]
                self._feedback.pop(exchange.id, None)
            return len(old)

    def counts(self) -> dict[str, TaskCounts]:
        with self._lock:
            counts: dict[str, TaskCounts] = {}
            for exchange in self._exchanges.values():
                if exchange.task is not None and exchange.arm != "shadow":
                    before = counts.get(exchange.task, TaskCounts())
                    counts[exchange.task] = TaskCounts(
                        exchanges=before.exchanges + 1,
                        errors=before.errors + (exchange.status == "error"),
                        feedback=before.feedback + len(self._feedback.get(exchange.id, ())),
                        output_tokens=before.output_tokens + exchange.usage.output_tokens,
                        first_seen=min(before.first_seen or exchange.created, exchange.created),
                        last_seen=max(before.last_seen or exchange.created, exchange.created),
                    )
            return counts

    def publish(self, rule_set: RuleSet) -> RuleSet:
        with self._lock:
            versions = self._rule_sets.setdefault(rule_set.task, [])
            published = msgspec.structs.replace(rule_set, version=len(versions) + 1)
            versions.append(published)
            return published

    def rule_set(self, task: str, version: int) -> RuleSet | None:
        with self._lock:
            versions = self._rule_sets.get(task, [])
            return versions[version - 1] if 1 <= version <= len(versions) else None

    def rule_sets(self, task: str) -> list[RuleSet]:
        with self._lock:
            return list(self._rule_sets.get(task, ()))

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        with self._lock:
            version = activation.version
            if version is not None and self.rule_set(activation.task, version) is None:
                raise NotFound(f"task {activation.task!r} has no rule set {version}: see 'preceptor rules list'")
            if after is not None and len(self.history(activation.task)) != after:
                raise Conflict(f"somebody else decided about the rule sets of {activation.task!r} meanwhile")
            self._activations.append(activation)

    def active(self) -> dict[str, RuleSet]:
        return {task: splits.live for task, splits in self.traffic_splits().items() if splits.live is not None}

    def traffic_splits(self) -> dict[str, TrafficSplit]:
        with self._lock:
            tasks = {entry.task for entry in self._activations} - {ALL_TASKS}
            return {
                task: traffic_split(
                    active_decisions(self.history(task)), {rules.version: rules for rules in self.rule_sets(task)}
                )
                for task in tasks
            }

    def injecting(self) -> bool:
        switched = [entry.share for entry in self.history(ALL_TASKS) if entry.kind == "injection"]
        return not switched or switched[-1] != 0.0

    def history(self, task: str) -> list[Activation]:
        with self._lock:
            return [activation for activation in self._activations if activation.task == task]

    def revision(self) -> int:
        with self._lock:
            return len(self._activations)

    def note(self, key: str) -> bytes | None:
        with self._lock:
            return self._notes.get(key)

    def put_note(self, key: str, value: bytes) -> None:
        with self._lock:
            self._notes[key] = value

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        with self._lock:
            cycle = CycleRecord(id=len(self._cycles) + 1, task=task, started=started, plan=bytes(plan))
            self._cycles.append(cycle)
            return cycle

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None:
        with self._lock:
            if not 1 <= cycle_id <= len(self._cycles):
                raise NotFound(f"there is no cycle {cycle_id}")
            cycle = self._cycles[cycle_id - 1]
            self._cycles[cycle_id - 1] = msgspec.structs.replace(cycle, ended=ended, outcome=outcome)

    def open_cycle(self, task: str) -> CycleRecord | None:
        with self._lock:
            unended = (cycle for cycle in reversed(self._cycles) if cycle.task == task and cycle.ended is None)
            return next(unended, None)

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        with self._lock:
            return [cycle for cycle in reversed(self._cycles) if cycle.task == task][:limit]

    def close(self) -> None:
        """Do nothing: the content stays readable."""


def _with_precedence(given: Sequence[Feedback]) -> Feedback:
    """Return the feedback with precedence: by source, then time, then order of arrival."""
    return max(reversed(given), key=lambda feedback: (-SOURCES.index(feedback.source), feedback.created))


def _observed(exchange: Exchange, given: Feedback | None) -> Observed:
    known = {name: getattr(exchange, name) for name in Observed.__struct_fields__ if hasattr(exchange, name)}
    if given is None:
        return Observed(**known)
    signals = given.comment or "" if given.source == "outcome" else ""
    return Observed(**known, correct=given.is_correct, source=given.source, signals=signals)
