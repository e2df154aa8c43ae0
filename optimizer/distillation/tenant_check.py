"""Whose gain it is: what helps one tenant and harms the others together is not adopted, whatever its sum.

One tenant can send more than all others, and what it likes. This is no test and proves no gain; it only refuses.
"""

from collections.abc import Mapping, Sequence

from optimizer.evaluation.evaluator import Trial


def one_tenant_only(before: Sequence[Trial], after: Sequence[Trial], tenants: Mapping[str, str]) -> str:
    """Why a change of these items, measured before and after in the same order, is one tenant's only; or nothing.

    ``tenants`` says of an item's id who asked; items that nobody is named for count with everybody else's.
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
