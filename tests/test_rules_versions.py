"""Versions: found, compared, and told in a line."""

import msgspec
import pytest

from gateway.domain import Activation, Evidence, Measured, Rule, RuleSet
from gateway.errors import NotFound
from gateway.proof import PromisedGain
from gateway.rules.versions import difference, gain, get_version
from gateway.store.memory import MemoryStore
from gateway.teaching import DecisionRule, Worksheet

FIRST = RuleSet(task="t", version=1, rules=(Rule(text="Add."), Rule(text="Be brief.")))
SECOND = RuleSet(task="t", version=2, scratchpad="tags", rules=(Rule(text="Add."), Rule(text="Check.")))


def test_a_version_is_found_by_number_and_the_live_one_without() -> None:
    """What is not there is said with what to do."""
    store = MemoryStore()
    with pytest.raises(NotFound, match="no active rule set"):
        get_version(store, "t", None)
    store.publish(FIRST)
    store.publish(SECOND)
    store.activate(Activation(task="t", version=2, created=1.0, by="test"))
    assert (get_version(store, "t", 1).version, get_version(store, "t", None).version) == (1, 2)
    with pytest.raises(NotFound, match="no version 3: see 'preceptor rules list t'"):
        get_version(store, "t", 3)


def test_a_difference_names_versions_rules_and_form() -> None:
    """As a unified diff; equal versions have none."""
    lines = difference(FIRST, SECOND)
    assert lines[:2] == ["--- version 1", "+++ version 2"]
    assert {"-scratchpad: none", "+scratchpad: tags", "-Be brief.", "+Check.", " Add."} <= set(lines)
    assert difference(FIRST, FIRST) == []


def test_evidence_is_told_in_a_line() -> None:
    """A rule set from elsewhere has none."""
    evidence = Evidence(
        verdict="better", before=Measured(accuracy=0.2, n=50), after=Measured(accuracy=0.7, n=50), fixed=25, broken=0,
        items_used=50, p_value=0.001, interval=(0.35, 0.65),
    )  # fmt: skip
    told = gain(RuleSet(task="t", evidence=evidence))
    assert told == "better: 20% -> 70% (95% interval of the change +35%..+65%, 50 items)"
    promise = PromisedGain(gain=0.4, interval=(0.2, 0.6))
    adjusted = RuleSet(task="t", evidence=msgspec.structs.replace(evidence, promised=promise))
    assert gain(adjusted) == "better: 20% -> 70% (promised +40%, +20%..+60%, 50 items)"
    assert gain(FIRST) == "not verified"


def test_a_difference_shows_the_decision_list() -> None:
    """A changed line of a worksheet is a changed line."""
    schema = {"properties": {"days": {"type": "integer"}}}
    old, new = (
        RuleSet(task="t", worksheet=Worksheet(schema=schema, decisions=(DecisionRule(when=when, result="a"),)))
        for when in ("days > 10", "days > 14")
    )
    assert {"-  if days > 10: a", "+  if days > 14: a"} <= set(difference(old, new))
