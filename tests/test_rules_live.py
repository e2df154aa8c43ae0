"""Rules of the store in effect: an activation anywhere is seen here, and a store that fails changes nothing."""

import pytest

from gateway.domain import Activation, Rule, RuleSet, TrafficSplit
from gateway.errors import StoreError
from gateway.routing.rule_snapshot import LiveRules
from gateway.rules.live import refresh
from gateway.store.memory import MemoryStore


class FlakyStore(MemoryStore):
    """Raises ``StoreError`` while it is ``down``; ``asked`` counts how often it was asked for its revision."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.asked = 0
        self.readings = 0

    def revision(self) -> int:
        self.asked += 1
        if self.down:
            raise StoreError("the database is locked")
        return super().revision()

    def traffic_splits(self) -> dict[str, TrafficSplit]:
        self.readings += 1
        return super().traffic_splits()


def activate(store: MemoryStore, version: int | None) -> None:
    store.activate(Activation(task="sums", version=version, created=0.0, by="test"))


def store_with_two_versions() -> FlakyStore:
    store = FlakyStore()
    for text in ("Work in steps.", "Check the sum."):
        store.publish(RuleSet(task="sums", rules=(Rule(text=text),)))
    return store


def versions(live: LiveRules) -> dict[str, int]:
    return {task: split.live.rule_set.version for task, split in live.current.splits.items() if split.live is not None}


def test_an_activation_is_followed() -> None:
    """Forward, back to an older version, and to no rules at all."""
    store, live = store_with_two_versions(), LiveRules()
    followed = []
    for version in (1, 2, 1, None):
        activate(store, version)
        refresh(store, live)
        followed.append(versions(live))
    assert followed == [{"sums": 1}, {"sums": 2}, {"sums": 1}, {}]


def test_rule_sets_are_read_only_when_the_store_has_moved_on() -> None:
    """Polling costs one small query; the rule sets are read once per activation."""
    store, live = store_with_two_versions(), LiveRules()
    activate(store, 1)
    for _ in range(5):
        refresh(store, live)
    assert (store.asked, store.readings) == (5, 1)


def test_a_store_that_fails_keeps_the_rules_that_are_live() -> None:
    """The failure is the caller's to see; the snapshot is as it was."""
    store, live = store_with_two_versions(), LiveRules()
    activate(store, 1)
    refresh(store, live)
    held = live.current
    activate(store, 2)
    store.down = True
    with pytest.raises(StoreError):
        refresh(store, live)
    assert live.current is held
