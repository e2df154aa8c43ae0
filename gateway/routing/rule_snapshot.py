"""The rule sets as requests see them. A request reads ``current`` once and ends with what it began with."""

from collections.abc import Mapping

from gateway.domain import Lanes, RuleSet
from gateway.routing.inject import Injection, compile_rules
from gateway.routing.route import Lane, RuleSnapshot


class LiveRules:
    """Holds the current snapshot. ``current`` is replaced whole, never changed."""

    def __init__(self) -> None:
        self.current = RuleSnapshot()

    def swap(self, lanes: Mapping[str, Lanes], revision: int, *, injecting: bool = True) -> None:
        """Let every request that begins from now on go by these lanes."""
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
                    live=compiled(one.live),
                    canary=compiled(one.canary),
                    canary_share=one.canary_share,
                    weak_share=one.weak_share,
                    audit_rate=one.audit_rate,
                )
                for task, one in lanes.items()
            },
            injecting=injecting,
            revision=revision,
        )
