"""Publishing: a confirmed candidate becomes a numbered rule set, and goes live if it may. Decides nothing more."""

import msgspec

from gateway.domain import Activation, Evidence, RuleSet, Value
from gateway.errors import Conflict
from gateway.forms import check_parts
from gateway.rules.decisions import carry_out
from gateway.store.base import Store
from gateway.store.history import active_decisions, taken_off


class Published(Value, frozen=True):
    """The rule set as stored. ``note`` says why it is not live, if it is not."""

    rule_set: RuleSet
    activated: bool
    """Whether it is live."""
    note: str = ""


def publish(
    store: Store,
    candidate: RuleSet,
    evidence: Evidence,
    *,
    incumbent: RuleSet | None,
    share: float,
    started: float,
    now: float,
    by: str,
) -> Published:
    """Store a candidate as the incumbent's child and give it its share of the conversations.

    A share of 1 is live, 0 waits for a person, between them the version is on trial. Called again for the same run
    (``started`` marks it), the function returns the version of the first call. If another rule set went live meanwhile,
    the evidence says nothing about it, so the new version waits for a person. Blocks; raises
    ``BadRequest`` for a candidate that could not serve, and ``StoreError``.
    """
    check_parts(candidate)
    parent = incumbent.version if incumbent is not None else None
    stored, versions = _stored(
        store,
        msgspec.structs.replace(candidate, parent=parent, evidence=evidence, created=now, decided_by=by),
        started,
    )
    if share == 0:
        return Published(rule_set=stored, activated=False, note="it waits for 'preceptor rules activate'")
    history = store.history(candidate.task)
    now_serving = active_decisions(history)
    live = now_serving.live.version if now_serving.live is not None else None
    if live == stored.version:
        return Published(rule_set=stored, activated=True)
    off = taken_off(history)
    if same := [known.version for known in versions if known.hash == stored.hash and known.version in off]:
        note = f"the same rules were taken off the air as version {same[-1]}: it waits for 'preceptor rules activate'"
        return Published(rule_set=stored, activated=False, note=note)
    on_trial = f"it is on trial with {share:.0%} of the conversations"
    if now_serving.canary is not None and now_serving.canary.version == stored.version:
        return Published(rule_set=stored, activated=False, note=on_trial)
    changed = Published(rule_set=stored, activated=False, note="it is not live: the active rules changed meanwhile")
    if live != parent:
        return changed
    decision = Activation(
        task=candidate.task, version=stored.version, created=now, by=by, why=f"gate: {evidence.note}",
        kind="live" if share == 1 else "canary", share=share,
    )  # fmt: skip
    try:
        carry_out(store, decision, after=len(history))
    except Conflict:
        return changed
    return Published(rule_set=stored, activated=share == 1, note="" if share == 1 else on_trial)


def _stored(store: Store, candidate: RuleSet, started: float) -> tuple[RuleSet, list[RuleSet]]:
    """Return the stored candidate, once per run whoever runs it beside us, and the versions before it."""
    while True:
        versions = store.rule_sets(candidate.task)
        for known in versions:
            if known.hash == candidate.hash and known.parent == candidate.parent and known.created >= started:
                return known, versions
        try:
            return store.publish(candidate, after=len(versions)), versions
        except Conflict:
            continue  # somebody else published meanwhile, perhaps the same
