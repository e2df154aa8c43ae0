"""The examples behind the live rules: on them, those rules look better than they are.

Only the gate's examples are counted. The examples for induction and selection are the same in every run, because an
example keeps its part.
"""

from collections.abc import Iterator

import msgspec

from gateway.domain import RuleSet
from gateway.store.base import Store
from optimizer.distillation.outcome import Outcome

ANY_TIME = 0.0
"""The start of a run from the shell, for ``publish``: a version of a killed command is not published again."""
_HISTORY = 1000  # cycles


def decided(store: Store, task: str, live: RuleSet | None) -> list[str]:
    """Return the ids of the items behind the live rule set or one of its ancestors. Blocks."""
    versions = set(_descent(store, live))
    ids: list[str] = []
    for cycle in store.cycles(task, limit=_HISTORY) if versions else ():
        try:
            outcome = msgspec.json.decode(cycle.outcome or b"", type=Outcome)
        except msgspec.DecodeError:
            continue
        if outcome.version in versions:
            ids += outcome.spent
    return ids


def _descent(store: Store, live: RuleSet | None) -> Iterator[int]:
    while live is not None:
        yield live.version
        live = store.rule_set(live.task, live.parent) if live.parent is not None else None
