"""The decision half of the store in memory: rule sets, histories, cycles and notes."""

import threading
from collections.abc import Callable, Collection

import msgspec

from gateway.domain import ALL_TASKS, Activation, CycleRecord, RuleSet, TrafficSplit
from gateway.errors import Conflict, NotFound
from gateway.store.history import active_decisions, traffic_split
from gateway.store.redaction import redacted_cycle, redaction
from gateway.teaching import Example


class MemoryRules:
    """Rule sets, histories, cycles and notes over dictionaries and lists; see ``gateway.store.base.Store``."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rule_sets: dict[str, list[RuleSet]] = {}
        self._activations: list[Activation] = []
        self._cycles: list[CycleRecord] = []
        self._notes: dict[str, bytes] = {}

    def publish(self, rule_set: RuleSet, *, after: int | None = None) -> RuleSet:
        with self._lock:
            versions = self._rule_sets.setdefault(rule_set.task, [])
            if after is not None and len(versions) != after:
                raise Conflict(f"another version of {rule_set.task!r} was published meanwhile")
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

    def redact(self, drops: Callable[[Example], bool], *, now: float, by: str, why: str) -> list[RuleSet]:
        changed: list[RuleSet] = []
        with self._lock:
            for versions in self._rule_sets.values():
                for index, rule_set in enumerate(versions):
                    kept = tuple(example for example in rule_set.examples if not drops(example))
                    if len(kept) < len(rule_set.examples):
                        versions[index] = msgspec.structs.replace(rule_set, examples=kept)
                        self._activations.append(redaction(versions[index], now=now, by=by, why=why))
                        changed.append(versions[index])
        return changed

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

    def glance(self, note: str) -> tuple[int, bytes | None]:
        with self._lock:
            return self.revision(), self.note(note)

    def note(self, key: str) -> bytes | None:
        with self._lock:
            return self._notes.get(key)

    def put_note(self, key: str, value: bytes) -> None:
        with self._lock:
            self._notes[key] = value

    def swap_note(self, key: str, before: bytes | None, value: bytes) -> bool:
        with self._lock:
            if self._notes.get(key) != before:
                return False
            self._notes[key] = value
            return True

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
            if cycle.ended is None:
                self._cycles[cycle_id - 1] = msgspec.structs.replace(cycle, ended=ended, outcome=outcome, plan=b"{}")

    def redact_cycles(self, before: float, *, tasks: Collection[str] | None = None) -> int:
        changed = 0
        with self._lock:
            for index, cycle in enumerate(self._cycles):
                wanted = cycle.started < before and (tasks is None or cycle.task in tasks)
                redacted = redacted_cycle(cycle) if wanted else None
                if redacted is not None:
                    self._cycles[index] = redacted
                    changed += 1
        return changed

    def open_cycle(self, task: str) -> CycleRecord | None:
        with self._lock:
            unended = (cycle for cycle in reversed(self._cycles) if cycle.task == task and cycle.ended is None)
            return next(unended, None)

    def cycles(self, task: str, *, limit: int) -> list[CycleRecord]:
        with self._lock:
            return [cycle for cycle in reversed(self._cycles) if cycle.task == task][:limit]
