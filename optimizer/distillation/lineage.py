"""Which examples have helped to decide about the rules that are live: on them those rules look better than they are.

Only the gate's examples are counted. Those that rules were learnt from and ranked on are the same in every run, because
an example keeps its part.
"""

from collections.abc import Iterator

import msgspec

from gateway.domain import RuleSet
from gateway.store.base import Store
from optimizer.distillation.outcome import Outcome

ANY_TIME = 0.0
"""The start of a run from the shell, for ``publish``: what the same command published before it was killed is found and
not published again."""
_HISTORY = 1000  # cycles that are looked through


def decided(store: Store, task: str, live: RuleSet | None) -> list[str]:
    """Ids of the items on which the gate let the live rule set, or one that it descends from, pass. Blocks."""
    versions = set(_descent(store, live))
    found: list[str] = []
    for cycle in store.cycles(task, limit=_HISTORY) if versions else ():
        try:
            outcome = msgspec.json.decode(cycle.outcome or b"", type=Outcome)
        except msgspec.DecodeError:
            continue
        if outcome.version in versions:
            found += outcome.spent
    return found


def _descent(store: Store, live: RuleSet | None) -> Iterator[int]:
    while live is not None:
        yield live.version
        live = store.rule_set(live.task, live.parent) if live.parent is not None else None
