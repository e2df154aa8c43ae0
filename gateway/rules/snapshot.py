"""The active rule sets as requests see them. A request reads ``current`` once and ends with what it began with."""

from collections.abc import Mapping

from gateway.domain import RuleSet, Value
from gateway.pipeline.inject import Injection, compile_rules


class Snapshot(Value, frozen=True):
    """Every task's active rule set, ready to be injected."""

    injections: Mapping[str, Injection] = {}
    revision: int = -1
    """The store's revision that it was read at; -1 before the first reading."""


class LiveRules:
    """Holds the current snapshot. ``current`` is replaced whole, never changed."""

    def __init__(self) -> None:
        self.current = Snapshot()

    def swap(self, active: Mapping[str, RuleSet], revision: int) -> None:
        """Make these rule sets live for every request that begins from now on."""
        known = self.current.injections
        self.current = Snapshot(
            injections={
                task: known[task] if task in known and known[task].rule_set == rule_set else compile_rules(rule_set)
                for task, rule_set in active.items()
            },
            revision=revision,
        )
