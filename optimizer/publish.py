"""A confirmed candidate becomes a numbered rule set, and goes live if it may. Decides nothing about its worth."""

import msgspec

from gateway.domain import Activation, Evidence, RuleSet, Value
from gateway.store.base import Store


class Published(Value, frozen=True):
    """The rule set as stored. ``note`` says why it is not live, if it is not."""

    rule_set: RuleSet
    activated: bool
    note: str = ""


def publish(
    store: Store,
    candidate: RuleSet,
    evidence: Evidence,
    *,
    incumbent: RuleSet | None,
    activate: bool,
    started: float,
    now: float,
    by: str,
) -> Published:
    """Store a candidate as the incumbent's child and activate it. Blocks; raises ``StoreError``.

    Called again for the same run (which ``started`` marks) it finds what it has published already. If something else
    went live meanwhile, the evidence says nothing against that, so the new version waits for a human.
    """
    parent = incumbent.version if incumbent is not None else None
    stored = next(
        (
            known
            for known in store.rule_sets(candidate.task)
            if known.hash == candidate.hash and known.parent == parent and known.created >= started
        ),
        None,
    )
    if stored is None:
        stored = store.publish(
            msgspec.structs.replace(candidate, parent=parent, evidence=evidence, created=now, decided_by=by)
        )
    if not activate:
        return Published(rule_set=stored, activated=False, note="it waits for 'preceptor rules activate'")
    live = store.active().get(candidate.task)
    if live is not None and live.version == stored.version:
        return Published(rule_set=stored, activated=True)
    if (live.version if live is not None else None) != parent:
        return Published(rule_set=stored, activated=False, note="it is not live: the active rules changed meanwhile")
    store.activate(
        Activation(task=candidate.task, version=stored.version, created=now, by=by, why=f"gate: {evidence.note}")
    )
    return Published(rule_set=stored, activated=True)
