"""A store in memory: the same contract as the SQL store, gone with the process. For tests, ours and users'."""

import threading
from collections.abc import Sequence
from operator import attrgetter

import msgspec

from gateway.domain import Activation, Arm, CycleRecord, Exchange, Feedback, RuleSet
from gateway.errors import NotFound
from gateway.store.base import Graded, TaskCounts


class MemoryStore:
    """``gateway.store.base.Store`` over dictionaries and lists, one lock around each method."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._exchanges: dict[str, Exchange] = {}
        self._feedback: dict[str, list[Feedback]] = {}
        self._rule_sets: dict[str, list[RuleSet]] = {}
        self._activations: list[Activation] = []
        self._cycles: list[CycleRecord] = []

    def record(self, batch: Sequence[Exchange]) -> None:
        with self._lock:
            for exchange in batch:
                self._exchanges.setdefault(exchange.id, exchange)

    def add_feedback(self, feedback: Feedback) -> bool:
        with self._lock:
            if feedback.exchange_id not in self._exchanges:
                return False
            self._feedback.setdefault(feedback.exchange_id, []).append(feedback)
            return True

    def exchange(self, exchange_id: str) -> Exchange | None:
        with self._lock:
            return self._exchanges.get(exchange_id)

    def graded(self, task: str, *, limit: int) -> list[Graded]:
        with self._lock:
            found = [
                Graded(exchange=exchange, feedback=_latest(self._feedback[exchange.id]))
                for exchange in self._exchanges.values()
                if exchange.task == task and exchange.status == "ok" and exchange.id in self._feedback
            ]
        return sorted(found, key=attrgetter("exchange.created"), reverse=True)[:limit]

    def answered(self, task: str, *, arm: Arm, limit: int) -> list[Exchange]:
        with self._lock:
            found = [one for one in self._exchanges.values() if (one.task, one.arm, one.status) == (task, arm, "ok")]
        return sorted(found, key=attrgetter("created"), reverse=True)[:limit]

    def counts(self) -> dict[str, TaskCounts]:
        with self._lock:
            counts: dict[str, TaskCounts] = {}
            for exchange in self._exchanges.values():
                if exchange.task is not None:
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

    def activate(self, activation: Activation) -> None:
        with self._lock:
            version = activation.version
            if version is not None and self.rule_set(activation.task, version) is None:
                raise NotFound(f"task {activation.task!r} has no rule set {version}: see 'preceptor rules list'")
            self._activations.append(activation)

    def active(self) -> dict[str, RuleSet]:
        with self._lock:
            newest = {activation.task: activation.version for activation in self._activations}
            return {task: self._rule_sets[task][version - 1] for task, version in newest.items() if version is not None}

    def history(self, task: str) -> list[Activation]:
        with self._lock:
            return [activation for activation in self._activations if activation.task == task]

    def revision(self) -> int:
        with self._lock:
            return len(self._activations)

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
            found = (cycle for cycle in reversed(self._cycles) if cycle.task == task and cycle.ended is None)
            return next(found, None)

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        with self._lock:
            return [cycle for cycle in reversed(self._cycles) if cycle.task == task][:limit]

    def close(self) -> None:
        """Nothing to give back; what is stored stays readable."""


def _latest(given: Sequence[Feedback]) -> Feedback:
    """The newest; of two with the same time, the one that came later."""
    return max(reversed(given), key=attrgetter("created"))
