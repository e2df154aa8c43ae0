"""The live rules: swapped whole, and held by whoever began with them."""

import msgspec

from gateway.domain import Rule, RuleSet
from gateway.pipeline.chat import open_chat
from gateway.pipeline.envelope import raw
from gateway.pipeline.route import route
from gateway.rules.snapshot import LiveRules
from tests.fakes import settings

FIRST = RuleSet(task="arithmetic", version=1, rules=(Rule(text="Work in steps."),))
SECOND = RuleSet(task="arithmetic", version=2, rules=(Rule(text="Check the sum."),), parent=1)
OTHER = RuleSet(task="words", version=1, rules=(Rule(text="Spell."),))


def test_nothing_is_live_before_the_first_reading() -> None:
    """A gateway that has not read its store yet injects nothing."""
    live = LiveRules()
    assert (live.current.injections, live.current.revision) == ({}, -1)


def test_a_swap_replaces_every_task() -> None:
    """What is not active any more is gone."""
    live = LiveRules()
    live.swap({"arithmetic": FIRST, "words": OTHER}, revision=1)
    live.swap({"arithmetic": SECOND}, revision=2)
    assert live.current.revision == 2
    assert {task: injection.rule_set for task, injection in live.current.injections.items()} == {"arithmetic": SECOND}


def test_a_swap_compiles_only_what_changed() -> None:
    """A rule set that was read again from the store, and is equal, keeps its compiled text."""
    live = LiveRules()
    live.swap({"arithmetic": FIRST, "words": OTHER}, revision=1)
    before = live.current.injections
    again = msgspec.json.decode(msgspec.json.encode(OTHER), type=RuleSet)
    live.swap({"arithmetic": SECOND, "words": again}, revision=2)
    assert live.current.injections["words"] is before["words"]
    assert live.current.injections["arithmetic"] is not before["arithmetic"]


def test_a_snapshot_is_never_changed() -> None:
    """Whoever read it before a swap still holds what was live then."""
    live = LiveRules()
    live.swap({"arithmetic": FIRST}, revision=1)
    held = live.current
    live.swap({}, revision=2)
    assert held.injections["arithmetic"].rule_set == FIRST
    assert live.current.injections == {}


def test_a_plan_made_before_a_swap_keeps_its_rules() -> None:
    """A request ends with the rules that it began with, and its record names their version."""
    live = LiveRules()
    live.swap({"arithmetic": FIRST}, revision=1)
    body = bytes(raw({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "2 + 2?"}]}))
    began = route(open_chat(body), "arithmetic", live.current.injections, settings())
    live.swap({"arithmetic": SECOND}, revision=2)
    later = route(open_chat(body), "arithmetic", live.current.injections, settings())
    assert (began.rules_version, later.rules_version) == (1, 2)
    assert began.injection is not None and "Work in steps." in began.injection.text
