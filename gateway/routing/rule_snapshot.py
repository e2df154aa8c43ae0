"""The rule sets as requests see them. A request reads ``current`` once and keeps that state to its end."""

import logging
from collections.abc import Mapping

from gateway.domain import RuleSet, TrafficSplit
from gateway.errors import BadRequest
from gateway.routing.inject import Injection, compile_rules
from gateway.routing.route import CompiledSplit, RuleSnapshot

log = logging.getLogger(__name__)


class LiveRules:
    """Holds the current snapshot. ``current`` is replaced whole, never changed."""

    def __init__(self) -> None:
        self.current = RuleSnapshot()

    def swap(self, splits: Mapping[str, TrafficSplit], revision: int, *, injecting: bool = True) -> None:
        """Replace the splits for every request from now on."""
        known = {
            (task, injection.rule_set.version): injection
            for task, split in self.current.splits.items()
            for injection in (split.live, split.canary)
            if injection is not None
        }

        def compiled(rule_set: RuleSet | None) -> Injection | None:
            if rule_set is None:
                return None
            old = known.get((rule_set.task, rule_set.version))
            if old is not None and old.rule_set == rule_set:
                return old
            try:
                return compile_rules(rule_set)
            except BadRequest as error:
                version = rule_set.version
                log.error("rules %s of %s cannot serve: %s", version, rule_set.task, error, extra={
                    "action": "rules.unreadable", "task": rule_set.task, "version": version})  # fmt: skip
                return None

        self.current = RuleSnapshot(
            splits={
                task: CompiledSplit(
                    live=compiled(split.live),
                    canary=compiled(split.canary),
                    canary_share=split.canary_share,
                    weak_share=split.weak_share,
                    holdback=split.holdback,
                    audit_rate=split.audit_rate,
                )
                for task, split in splits.items()
            },
            injecting=injecting,
            revision=revision,
        )
