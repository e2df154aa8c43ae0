"""The rule sets as requests see them. A request reads ``current`` once and keeps that state to its end."""

from collections.abc import Mapping

from gateway.domain import Lanes, RuleSet
from gateway.routing.inject import Injection, compile_rules
from gateway.routing.route import Lane, RuleSnapshot


class LiveRules:
    """Holds the current snapshot. ``current`` is replaced whole, never changed."""

    def __init__(self) -> None:
        self.current = RuleSnapshot()

    def swap(self, lanes: Mapping[str, Lanes], revision: int, *, injecting: bool = True) -> None:
        """Replace the lanes for every request from now on."""
        known = {
            (task, injection.rule_set.version): injection
            for task, lane in self.current.lanes.items()
            for injection in (lane.live, lane.canary)
            if injection is not None
        }

        def compiled(rule_set: RuleSet | None) -> Injection | None:
            if rule_set is None:
                return None
            old = known.get((rule_set.task, rule_set.version))
            return old if old is not None and old.rule_set == rule_set else compile_rules(rule_set)

        self.current = RuleSnapshot(
            lanes={
                task: Lane(
                    live=compiled(lanes_of_task.live),
                    canary=compiled(lanes_of_task.canary),
                    canary_share=lanes_of_task.canary_share,
                    weak_share=lanes_of_task.weak_share,
                    audit_rate=lanes_of_task.audit_rate,
                )
                for task, lanes_of_task in lanes.items()
            },
            injecting=injecting,
            revision=revision,
        )
