"""Decisions of a person or the watch about a task's rule sets: one entry in its history each.

Each function blocks on the store and raises ``StoreError``, or ``Conflict`` after another decision at the same moment.
``after``: the length of the history that the decision is about; a longer one is a ``Conflict``.
"""

from collections.abc import Collection

from gateway.domain import ALL_TASKS, Activation
from gateway.errors import Conflict
from gateway.store import trail
from gateway.store.base import Store
from gateway.store.history import active_decisions, previous, taken_off


def carry_out(store: Store, decision: Activation, *, after: int | None = None) -> None:
    """Put a decision into effect, and into the audit log."""
    store.activate(decision, after=after)
    trail.decided(store, decision)


def put_live(
    store: Store, task: str, version: int | None, *, now: float, by: str, why: str, after: int | None = None
) -> Activation:
    """Make a version live; ``None`` for no rules. Raises ``NotFound``."""
    decision = Activation(task=task, version=version, created=now, by=by, why=why)
    carry_out(store, decision, after=after)
    return decision


def put_on_trial(
    store: Store, task: str, version: int, share: float, *, now: float, by: str, why: str, after: int | None = None
) -> Activation:
    """Give a version a share (0..1) of the weak model's conversations. Raises ``NotFound``."""
    decision = Activation(task=task, version=version, created=now, by=by, why=why, kind="canary", share=share)
    carry_out(store, decision, after=after)
    return decision


def hold_trial(
    store: Store, task: str, on: bool, *, now: float, by: str, why: str = "", after: int | None = None
) -> Activation:
    """Keep the trial under way at its share, or let it go on. Raises ``Conflict`` without a trial."""
    history = store.history(task)
    trial = active_decisions(history).canary
    if trial is None:
        raise Conflict(f"task {task!r} has no trial under way")
    decision = Activation(
        task=task, version=trial.version, created=now, by=by, why=why, kind="hold", share=1.0 if on else 0.0
    )
    carry_out(store, decision, after=len(history) if after is None else after)
    return decision


def roll_back(store: Store, task: str, *, now: float, by: str, why: str = "", after: int | None = None) -> Activation:
    """End the trial under way; without a trial, make the version before live again.

    Raises ``PreceptorError`` if there is nothing to roll back.
    """
    history = store.history(task)
    trial = active_decisions(history).canary
    if trial is not None:
        decision = Activation(
            task=task, version=trial.version, created=now, by=by, why=why or "rolled back",
            kind="canary", share=0.0,
        )  # fmt: skip
    else:
        target = previous(history)
        live = active_decisions(history).live
        left = version_name(live.version if live is not None else None)
        decision = Activation(task=task, version=target, created=now, by=by, why=why or f"rolled back from {left}")
    carry_out(store, decision, after=len(history) if after is None else after)
    return decision


def take_off(store: Store, task: str, versions: Collection[int], *, now: float, by: str, why: str) -> list[Activation]:
    """End the trial of one of these versions, and put the newest other version live in the place of one of them.

    Without another version, no rules are live. Returns the decisions; none if none of the versions is on the air.
    """
    history = store.history(task)
    current, decisions = active_decisions(history), list[Activation]()
    if current.canary is not None and current.canary.version in versions:
        decisions.append(
            Activation(
                task=task, version=current.canary.version, created=now, by=by, why=why, kind="canary", share=0.0
            )
        )  # fmt: skip
    if current.live is not None and current.live.version in versions:
        off = {*versions, *taken_off(history)}
        older = [entry.version for entry in history if entry.kind == "live" and entry.version not in off]
        decisions.append(Activation(task=task, version=older[-1] if older else None, created=now, by=by, why=why))
    for place, decision in enumerate(decisions):
        carry_out(store, decision, after=len(history) + place)
    return decisions


def set_share(store: Store, task: str, share: float, *, now: float, by: str, why: str) -> Activation:
    """Give the weak model a share (0..1) of a task's conversations, where both models serve."""
    decision = Activation(task=task, version=None, created=now, by=by, why=why, kind="share", share=share)
    carry_out(store, decision)
    return decision


def set_audit_rate(store: Store, task: str, rate: float, *, now: float, by: str, why: str) -> Activation:
    """Draw a share (0..1) of a task's exchanges into its audit sample from now on."""
    decision = Activation(task=task, version=None, created=now, by=by, why=why, kind="audit", share=rate)
    carry_out(store, decision)
    return decision


def served_by_both(task: str, serve: str) -> None:
    """Raise ``Conflict`` unless both models serve a task: only then are there shares."""
    if serve != "canary":
        raise Conflict(f"task {task!r} has serve = {serve!r}: shares are for serve = 'canary'", param="share")


def switch_injection(store: Store, on: bool, *, now: float, by: str, why: str = "") -> Activation:
    """Switch the injection of every task's rules on or off: the kill switch."""
    share = 1.0 if on else 0.0
    decision = Activation(task=ALL_TASKS, version=None, created=now, by=by, why=why, kind="injection", share=share)
    carry_out(store, decision)
    return decision


def version_name(version: int | None) -> str:
    """Return a version in words."""
    return "no rules" if version is None else f"version {version}"


def describe(decision: Activation) -> str:
    """Return an entry of a history in words."""
    match decision.kind:
        case "live":
            return f"{version_name(decision.version)} {'are' if decision.version is None else 'is'} live"
        case "canary" if decision.share == 0:
            return f"the trial of {version_name(decision.version)} is over"
        case "canary":
            return f"{version_name(decision.version)} is on trial with {decision.share:.0%} of the conversations"
        case "share":
            return f"the weak model gets {decision.share:.0%} of the conversations"
        case "hold":
            return f"the trial of {version_name(decision.version)} {'is held' if decision.share else 'goes on'}"
        case "redaction":
            return f"{version_name(decision.version)} lost the examples of deleted exchanges"
        case "holdback" if decision.share == 0:
            return "the hold-back is as configured again"
        case "holdback":
            return f"{decision.share:.0%} of the conversations get no rules, to measure the effect of rules"
        case "audit":
            return f"{decision.share:.0%} of the exchanges are drawn into the audit sample"
    return f"injection is {'on' if decision.share else 'off'}"
