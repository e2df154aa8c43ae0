"""What a task's history comes to: which version is live, which is on trial, and what was live before. Pure."""

from collections.abc import Iterable, Mapping

from gateway.domain import Activation, Lanes, RuleSet, Value
from gateway.errors import PreceptorError


class Standing(Value, frozen=True):
    """The entries of a history that are still in effect."""

    live: Activation | None = None
    canary: Activation | None = None
    """A trial under way."""
    share: Activation | None = None


def standing(history: Iterable[Activation]) -> Standing:
    """What is in effect after a task's entries, oldest first. The newest one of each kind is enough."""
    live: Activation | None = None
    canary: Activation | None = None
    share: Activation | None = None
    for entry in history:
        if entry.kind == "live":
            live, canary = entry, None
        elif entry.kind == "canary":
            canary = entry if entry.share > 0 else None
        elif entry.kind == "share":
            share = entry
    return Standing(live=live, canary=canary, share=share)


def lanes_of(now: Standing, versions: Mapping[int | None, RuleSet]) -> Lanes:
    """What serves, with the rule sets themselves."""
    live, canary = now.live, now.canary
    return Lanes(
        live=versions.get(live.version) if live is not None else None,
        canary=versions.get(canary.version) if canary is not None else None,
        canary_share=canary.share if canary is not None else 0.0,
        weak_share=now.share.share if now.share is not None else None,
    )


def previous(history: Iterable[Activation]) -> int | None:
    """What was live before the present version; ``None`` for no rules.

    A roll-back points further back each time: versions that were rolled back from are not returned to. Raises
    ``PreceptorError`` when nothing is live.
    """
    stack: list[int | None] = [None]
    for entry in history:
        if entry.kind != "live":
            continue
        if entry.version in stack:
            del stack[stack.index(entry.version) + 1 :]
        else:
            stack.append(entry.version)
    if len(stack) == 1:
        raise PreceptorError("no rule set is live: there is nothing to roll back")
    return stack[-2]
