"""The examples behind the live rules and behind earlier tests: on them, rules look better than they are.

Only the gate's examples are counted. The examples for induction and selection are the same in every run, because an
example keeps its part.
"""

from collections.abc import Iterator, Sequence

import msgspec

from gateway.domain import RuleSet
from gateway.store.base import Store
from optimizer.dataset.items import Item
from optimizer.distillation.outcome import Outcome
from optimizer.statistics.alpha_spending import repeated_level

ANY_TIME = 0.0
"""The start of a run from the shell, for ``publish``: a version of a killed command is not published again."""
_HISTORY = 1000  # cycles


def items_tested_by_hand(store: Store, task: str) -> list[tuple[str, ...]]:
    """Return the ids of the items of each test that a person asked for. Blocks."""
    return [outcome.spent for outcome in _outcomes(store, task) if outcome.by not in ("", "cycle") and outcome.spent]


def level_for(items: Sequence[Item], tested: Sequence[Sequence[str]]) -> float:
    """Return the level of a person's test on items, some of which earlier tests may have looked at.

    Each earlier test could have adopted a useless change; the next one on the same items has half of its level.
    """
    ids = {item.id for item in items}
    return repeated_level(sum(not ids.isdisjoint(earlier) for earlier in tested))


def decided(store: Store, task: str, live: RuleSet | None) -> list[str]:
    """Return the ids of the items behind the live rule set or one of its ancestors. Blocks."""
    versions = set(_descent(store, live))
    if not versions:
        return []
    outcomes = [outcome for outcome in _outcomes(store, task) if outcome.version in versions]
    return [item for outcome in outcomes for item in (*outcome.spent, *outcome.drawn)]


def _outcomes(store: Store, task: str) -> Iterator[Outcome]:
    """The outcomes of a task's cycles, newest first; unreadable ones are left out."""
    for cycle in store.cycles(task, limit=_HISTORY):
        try:
            yield msgspec.json.decode(cycle.outcome or b"", type=Outcome)
        except msgspec.DecodeError:
            continue


def _descent(store: Store, live: RuleSet | None) -> Iterator[int]:
    while live is not None:
        yield live.version
        live = store.rule_set(live.task, live.parent) if live.parent is not None else None
