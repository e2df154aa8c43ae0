"""The meaning of a task's history: the live version, the trial, the version before, the versions taken off. Pure."""

from collections.abc import Iterable, Mapping

from gateway.domain import Activation, RuleSet, TrafficSplit, Value
from gateway.errors import PreceptorError


class ActiveDecisions(Value, frozen=True):
    """The entries of a history in effect."""

    live: Activation | None = None
    canary: Activation | None = None
    """A trial under way."""
    share: Activation | None = None
    holdback: Activation | None = None
    """The hold-back of the live version, where it differs from the configured one."""
    audit: Activation | None = None
    hold: Activation | None = None
    """A person keeps the trial at its share."""


def active_decisions(history: Iterable[Activation]) -> ActiveDecisions:
    """Return the entries in effect after a task's history, oldest first. The newest entry of each kind is enough."""
    live: Activation | None = None
    canary: Activation | None = None
    share: Activation | None = None
    holdback: Activation | None = None
    audit: Activation | None = None
    hold: Activation | None = None
    for entry in history:
        if entry.kind == "live":
            live, canary, holdback, hold = entry, None, None, None
        elif entry.kind == "canary":
            canary, hold = (entry if entry.share > 0 else None), None
        elif entry.kind == "hold":
            hold = entry if entry.share > 0 else None
        elif entry.kind == "share":
            share = entry
        elif entry.kind == "holdback":
            holdback = entry if entry.share > 0 else None
        elif entry.kind == "audit":
            audit = entry
    return ActiveDecisions(live=live, canary=canary, share=share, holdback=holdback, audit=audit, hold=hold)


def traffic_split(now: ActiveDecisions, versions: Mapping[int | None, RuleSet]) -> TrafficSplit:
    """Return the decisions in effect with the rule sets themselves."""
    live, canary = now.live, now.canary
    return TrafficSplit(
        live=versions.get(live.version) if live is not None else None,
        canary=versions.get(canary.version) if canary is not None else None,
        canary_share=canary.share if canary is not None else 0.0,
        weak_share=now.share.share if now.share is not None else None,
        holdback=now.holdback.share if now.holdback is not None else None,
        audit_rate=now.audit.share if now.audit is not None else None,
    )


def previous(history: Iterable[Activation]) -> int | None:
    """Return the version to roll back to; ``None`` for no rules.

    Each roll-back points further back: a version once rolled back from is not returned to. Raises ``PreceptorError``
    when nothing is live.
    """
    stack, _ = _replayed(history)
    if len(stack) == 1:
        raise PreceptorError("no rule set is live: there is nothing to roll back")
    return stack[-2]


def taken_off(history: Iterable[Activation]) -> frozenset[int]:
    """Return the versions taken off the air: rolled back from, or with an ended trial.

    A replaced version is none of them, nor a version live or on trial again afterwards: its objection was withdrawn.
    """
    stack, off = _replayed(history)
    return frozenset(version for version in off if version is not None and version != stack[-1])


def _replayed(history: Iterable[Activation]) -> tuple[list[int | None], set[int | None]]:
    """Return the stack of live versions, no rules first and the live one last, and the versions taken off."""
    stack: list[int | None] = [None]
    off: set[int | None] = set()
    for entry in history:
        version = entry.version
        if entry.kind == "live":
            if version not in stack:
                stack.append(version)
            above = stack.index(version) + 1
            off = (off | set(stack[above:])) - {version}
            del stack[above:]
        elif entry.kind == "canary":
            off = off - {version} if entry.share > 0 else off | {version}
    return stack, off
