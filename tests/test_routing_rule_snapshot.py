"""The live rules: swapped whole, and held by whoever began with them."""

import msgspec

from gateway.domain import Rule, RuleSet, TrafficSplit
from gateway.formats.chat import open_chat
from gateway.formats.envelope import raw
from gateway.routing.inject import compile_rules
from gateway.routing.route import CompiledSplit, route
from gateway.routing.rule_snapshot import LiveRules
from tests.fakes import settings

FIRST = RuleSet(task="arithmetic", version=1, rules=(Rule(text="Work in steps."),))
SECOND = RuleSet(task="arithmetic", version=2, rules=(Rule(text="Check the sum."),), parent=1)
OTHER = RuleSet(task="words", version=1, rules=(Rule(text="Spell."),))


def test_nothing_is_live_before_the_first_reading() -> None:
    """A gateway that has not read its store yet injects nothing."""
    live = LiveRules()
    assert (live.current.splits, live.current.revision) == ({}, -1)


def test_a_swap_replaces_every_task() -> None:
    """What is not active any more is gone."""
    live = LiveRules()
    live.swap({"arithmetic": TrafficSplit(live=FIRST), "words": TrafficSplit(live=OTHER)}, revision=1)
    live.swap({"arithmetic": TrafficSplit(live=SECOND)}, revision=2)
    assert live.current.revision == 2
    assert live.current.splits == {"arithmetic": CompiledSplit(live=compile_rules(SECOND))}


def test_a_swap_compiles_only_what_changed() -> None:
    """A rule set that was read again from the store, and is equal, keeps its compiled text."""
    live = LiveRules()
    live.swap({"arithmetic": TrafficSplit(live=FIRST), "words": TrafficSplit(live=OTHER)}, revision=1)
    before = live.current.splits
    again = msgspec.json.decode(msgspec.json.encode(OTHER), type=RuleSet)
    live.swap({"arithmetic": TrafficSplit(live=SECOND), "words": TrafficSplit(live=again)}, revision=2)
    assert live.current.splits["words"].live is before["words"].live
    assert live.current.splits["arithmetic"].live is not before["arithmetic"].live


def test_a_snapshot_is_never_changed() -> None:
    """Whoever read it before a swap still holds what was live then."""
    live = LiveRules()
    live.swap({"arithmetic": TrafficSplit(live=FIRST)}, revision=1)
    held = live.current
    live.swap({}, revision=2)
    assert held.splits == {"arithmetic": CompiledSplit(live=compile_rules(FIRST))}
    assert live.current.splits == {}


def test_a_plan_made_before_a_swap_keeps_its_rules() -> None:
    """A request ends with the rules that it began with, and its record names their version."""
    live = LiveRules()
    live.swap({"arithmetic": TrafficSplit(live=FIRST)}, revision=1)
    body = bytes(raw({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "2 + 2?"}]}))
    began = route(open_chat(body), "arithmetic", live.current, settings())
    live.swap({"arithmetic": TrafficSplit(live=SECOND)}, revision=2)
    later = route(open_chat(body), "arithmetic", live.current, settings())
    assert (began.rules_version, later.rules_version) == (1, 2)
    assert began.injection is not None and "Work in steps." in began.injection.text
