"""Versions of a task's rule sets: by number, as a difference, and their evidence in one line."""

import difflib

from gateway.domain import RuleSet
from gateway.errors import NotFound
from gateway.rules.in_words import lines_of
from gateway.store.base import Store


def get_version(store: Store, task: str, version: int | None) -> RuleSet:
    """Return a version; the live version for ``None``. Blocks; raises ``NotFound``."""
    rule_set = store.active().get(task) if version is None else store.rule_set(task, version)
    if rule_set is None:
        missing = "no active rule set" if version is None else f"no version {version}"
        raise NotFound(f"task {task!r} has {missing}: see 'preceptor rules list {task}'")
    return rule_set


def difference(old: RuleSet, new: RuleSet) -> list[str]:
    """Return the lines of a unified diff between two versions; none for equal ones."""
    names = f"version {old.version}", f"version {new.version}"
    return list(difflib.unified_diff(lines_of(old), lines_of(new), *names, lineterm=""))


def gain(rule_set: RuleSet) -> str:
    """Return the result of the verification in one line."""
    evidence = rule_set.evidence
    if evidence is None:
        return "not verified"
    low, high = evidence.promised.interval if evidence.promised else evidence.interval
    what = f"promised {evidence.promised.gain:+.0%}," if evidence.promised else "95% interval of the change"
    return (
        f"{evidence.verdict}: {evidence.before.accuracy:.0%} -> {evidence.after.accuracy:.0%}"
        f" ({what} {low:+.0%}..{high:+.0%}, {evidence.items_used} items)"
    )
