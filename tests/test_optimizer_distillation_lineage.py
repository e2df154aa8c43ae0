"""Which examples have decided about the rules that are live, and how strict a test on used examples is."""

import msgspec

from gateway.domain import RuleSet
from gateway.store.memory import MemoryStore
from optimizer.distillation.lineage import decided, items_tested_by_hand, level_for
from optimizer.distillation.outcome import Outcome
from optimizer.statistics.paired_test import LEVEL
from tests.scripted import questions


def store_with(*outcomes: Outcome) -> MemoryStore:
    store = MemoryStore()
    for outcome in outcomes:
        store.end_cycle(store.begin_cycle("sums", 1.0, b"{}").id, 2.0, outcome.encoded())
    return store


def outcome(version: int | None, *spent: str) -> Outcome:
    return Outcome(task="sums", note="", version=version, adopted=version is not None, spent=spent)


def test_the_live_rules_and_all_that_they_descend_from_count() -> None:
    """Their examples were lucky for them; those of other versions and of refused candidates were not."""
    store = store_with(outcome(1, "a"), outcome(2, "b"), outcome(None, "c"), outcome(3, "d"))
    for parent in (None, 1, None):
        store.publish(RuleSet(task="sums", parent=parent))
    assert sorted(decided(store, "sums", store.rule_set("sums", 2))) == ["a", "b"]
    assert decided(store, "sums", store.rule_set("sums", 3)) == ["d"]


def test_without_live_rules_nothing_has_decided() -> None:
    """So the same command finds the same examples again."""
    assert decided(store_with(outcome(1, "a")), "sums", None) == []


def test_a_cycle_of_another_version_or_one_that_runs_is_passed_over() -> None:
    """It is no reason to fail."""
    store = store_with(outcome(1, "a"))
    store.begin_cycle("sums", 1.0, b"{}")
    store.end_cycle(store.begin_cycle("sums", 1.0, b"{}").id, 2.0, msgspec.json.encode({"strange": True}))
    store.publish(RuleSet(task="sums"))
    assert decided(store, "sums", store.rule_set("sums", 1)) == ["a"]


def test_a_second_test_by_hand_on_the_same_items_has_half_the_level() -> None:
    """Scheduled tests have an account of their own, verifications publish nothing, and new items begin anew."""
    items = questions(30)
    ids = [item.id for item in items]
    by_hand = msgspec.structs.replace(outcome(None, *ids[:10]), by="distill")
    store = store_with(by_hand, msgspec.structs.replace(by_hand, by="cycle"), outcome(None, *ids), by_hand)
    tested = items_tested_by_hand(store, "sums")
    assert len(tested) == 2
    assert level_for(items[:20], tested) == LEVEL / 4 and level_for(items[10:], tested) == LEVEL
