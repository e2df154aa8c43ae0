"""The live rules: swapped whole, and held by whoever began with them."""

import msgspec

from gateway.domain import Lanes, Rule, RuleSet
from gateway.formats.chat import open_chat
from gateway.formats.envelope import raw
from gateway.routing.inject import compile_rules
from gateway.routing.route import Lane, route
from gateway.routing.rule_snapshot import LiveRules
from tests.fakes import settings

FIRST = RuleSet(task="arithmetic", version=1, rules=(Rule(text="Work in steps."),))
SECOND = RuleSet(task="arithmetic", version=2, rules=(Rule(text="Check the sum."),), parent=1)
OTHER = RuleSet(task="words", version=1, rules=(Rule(text="Spell."),))


def test_nothing_is_live_before_the_first_reading() -> None:
    """A gateway that has not read its store yet injects nothing."""
    live = LiveRules()
    assert (live.current.lanes, live.current.revision) == ({}, -1)


def test_a_swap_replaces_every_task() -> None:
    """What is not active any more is gone."""
    live = LiveRules()
    live.swap({"arithmetic": Lanes(live=FIRST), "words": Lanes(live=OTHER)}, revision=1)
    live.swap({"arithmetic": Lanes(live=SECOND)}, revision=2)
    assert live.current.revision == 2
    assert live.current.lanes == {"arithmetic": Lane(live=compile_rules(SECOND))}


def test_a_swap_compiles_only_what_changed() -> None:
    """A rule set that was read again from the store, and is equal, keeps its compiled text."""
    live = LiveRules()
    live.swap({"arithmetic": Lanes(live=FIRST), "words": Lanes(live=OTHER)}, revision=1)
    before = live.current.lanes
    again = msgspec.json.decode(msgspec.json.encode(OTHER), type=RuleSet)
    live.swap({"arithmetic": Lanes(live=SECOND), "words": Lanes(live=again)}, revision=2)
    assert live.current.lanes["words"].live is before["words"].live
    assert live.current.lanes["arithmetic"].live is not before["arithmetic"].live


def test_a_snapshot_is_never_changed() -> None:
    """Whoever read it before a swap still holds what was live then."""
    live = LiveRules()
    live.swap({"arithmetic": Lanes(live=FIRST)}, revision=1)
    held = live.current
    live.swap({}, revision=2)
    assert held.lanes == {"arithmetic": Lane(live=compile_rules(FIRST))}
    assert live.current.lanes == {}


def test_a_plan_made_before_a_swap_keeps_its_rules() -> None:
    """A request ends with the rules that it began with, and its record names their version."""
    live = LiveRules()
    live.swap({"arithmetic": Lanes(live=FIRST)}, revision=1)
    body = bytes(raw({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "2 + 2?"}]}))
    began = route(open_chat(body), "arithmetic", live.current, settings())
    live.swap({"arithmetic": Lanes(live=SECOND)}, revision=2)
    later = route(open_chat(body), "arithmetic", live.current, settings())
    assert (began.rules_version, later.rules_version) == (1, 2)
    assert began.injection is not None and "Work in steps." in began.injection.text
