"""The tenant check: a change is refused if it helps one tenant and harms all others together, whatever its sum.

One tenant can send more than all others, and anything it likes. The check proves no gain; it only refuses.
"""

from collections.abc import Mapping, Sequence

from optimizer.evaluation.evaluator import Trial


def one_tenant_only(before: Sequence[Trial], after: Sequence[Trial], tenants: Mapping[str, str]) -> str:
    """Name the tenant with all of the gain, or return nothing. Both arms answered the items in one order.

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
    return ""
