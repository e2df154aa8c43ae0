"""The tenant check: no change for the sake of one tenant, whatever its sum.

One tenant can send more than all others, and anything it likes. So a gain must reach two at least where three or more
are named, and may not be everybody else's loss. The check proves no gain; it only refuses.
"""

from collections.abc import Mapping, Sequence

from optimizer.dataset.items import Item
from optimizer.evaluation.evaluator import Trial

SEVERAL = 3
"""Tenants, or else keys, from which on a gain must reach two of them."""


def voice_of(item: Item) -> str:
    """Return the end user behind an item, else its key; empty without both."""
    return f"tenant {item.tenant}" if item.tenant else f"key {item.key}" if item.key else ""


def helps_one_only(before: Sequence[Trial], after: Sequence[Trial]) -> str:
    """Name the only tenant with better replies, or return nothing. Both arms answered the items in one order."""
    voices = {voice_of(trial.item) for trial in before} - {""}
    helped = {voice_of(new.item) for old, new in zip(before, after, strict=True) if new.score > old.score}
    return helped.pop() if len(voices) >= SEVERAL and len(helped) == 1 else ""


def one_tenant_only(before: Sequence[Trial], after: Sequence[Trial], tenants: Mapping[str, str]) -> str:
    """Return the reason against a gain that is one tenant's, or nothing. Both arms answered the items in one order.

    ``tenants`` names the tenant by an item's id; items without a tenant count among the others of every tenant.
    """
    changes = [
        (tenants.get(new.item.id), int(new.correct) - int(old.correct))
        for old, new in zip(before, after, strict=True)
        if new.correct is not old.correct
    ]
    for tenant in sorted({tenant for tenant, _ in changes if tenant is not None}):
        others = [change for asked, change in changes if asked != tenant]
        if sum(others) < 0:
            fixed, broken = others.count(1), others.count(-1)
            return f"the gain is one tenant's: of everybody else's items it fixed {fixed} and broke {broken}"
    if alone := helps_one_only(before, after):
        return f"the gain is one tenant's ({alone}): nobody else got a better reply"
    return ""
