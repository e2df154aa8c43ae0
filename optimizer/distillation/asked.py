"""A person's wishes about rules: a version for the gate, and pinned rules, in every candidate. Decides nothing.

Both lie in notes: the console writes them, and the next run of the learner reads them.
"""

from collections.abc import Iterable

from gateway.domain import Rule, RuleSet, Value
from gateway.store.base import Store
from gateway.store.notes import Note


class AskedTest(Value, frozen=True):
    """A version in front of the gate."""

    version: int
    by: str
    at: float
    """Seconds since the epoch."""


ASKED: Note[AskedTest | None] = Note("asked", AskedTest | None)  # type: ignore[arg-type]  # a union is a type to decode
PINNED = Note("pinned", dict[str, str])
"""By rule id: who pinned it."""


def asked_version(store: Store, task: str) -> RuleSet | None:
    """Return the version in front of the gate. Blocks; raises ``StoreError``."""
    asked = ASKED.read(store, task)
    return None if asked is None else store.rule_set(task, asked.version)


def settle(store: Store, task: str, version: int) -> None:
    """Note the end of a version's test. Blocks; raises ``StoreError``."""
    if ASKED.read(store, task) is not None:
        ASKED.change(store, lambda asked: None if asked is not None and asked.version == version else asked, task)


def pinned_rules(store: Store, task: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the pinned ones of the rules. Blocks; raises ``StoreError``."""
    pinned = PINNED.read(store, task) or {}
    return tuple(rule for rule in rules if rule.id in pinned)


def pin(store: Store, task: str, rules: Iterable[Rule], by: str) -> None:
    """Pin rules. Blocks; raises ``StoreError``."""
    new = {rule.id: by for rule in rules}
    if new:
        PINNED.change(store, lambda known: {**new, **(known or {})}, task)


def unpin(store: Store, task: str, rule_id: str) -> None:
    """Let runs leave a rule out again. Blocks; raises ``StoreError``."""
    PINNED.change(store, lambda known: {id_: by for id_, by in (known or {}).items() if id_ != rule_id}, task)
