"""Whose exchanges the parts of a version stand on."""

import msgspec

from gateway.domain import Evidence, Measured, Rule, RuleRecord, RuleSet
from gateway.proof import PartSource
from gateway.teaching import DecisionRule, Worksheet
from optimizer.dataset.items import Item
from optimizer.distillation.standing import part_sources

ITEMS = [
    Item(id=f"x{number}", request=b"{}", expected=1, key=f"k{number % 2}", tenant=f"t{number % 3}")
    for number in range(6)
]
RULE, OLD = Rule(text="Add all parts."), Rule(text="Round down.")
RECORD = RuleRecord(id=RULE.id, text=RULE.text, reason="", status="kept", mistakes=("x0", "x2", "x4", "elsewhere"))
NONE = Measured(accuracy=0.0, n=0)
EVIDENCE = Evidence(
    verdict="better", before=NONE, after=NONE, fixed=0, broken=0, items_used=0, p_value=0.0, interval=(0.0, 0.0)
)


def test_a_rule_stands_on_its_mistakes() -> None:
    """With their keys and end users, each once."""
    (source,) = part_sources(RuleSet(task="t", rules=(RULE,)), [RECORD], ITEMS, None)
    assert source == PartSource(part="rule", text=RULE.text, exchanges=3, keys=("k0",), tenants=("t0", "t1", "t2"))


def test_a_rule_of_the_incumbent_keeps_its_source() -> None:
    """This cycle's items did not teach it."""
    before = PartSource(part="rule", text=OLD.text, exchanges=9, keys=("k9",))
    incumbent = RuleSet(task="t", rules=(OLD,), evidence=msgspec.structs.replace(EVIDENCE, sources=(before,)))
    sources = part_sources(RuleSet(task="t", rules=(OLD, RULE)), [RECORD], ITEMS, incumbent)
    assert sources[0] == before and sources[1].exchanges == 3
    assert part_sources(RuleSet(task="t", rules=(OLD,)), [], ITEMS, None)[0].exchanges == 0


def test_each_line_of_a_decision_list_stands_on_all_that_was_shown() -> None:
    """Every line says so."""
    lines = (DecisionRule(when="days > 30", result="refuse"), DecisionRule(when="", result="returns"))
    sheet = Worksheet(schema={"type": "object", "properties": {"days": {"type": "integer"}}}, decisions=lines)
    sources = part_sources(RuleSet(task="t", worksheet=sheet), [], ITEMS, None)
    assert [(one.part, one.text, one.exchanges) for one in sources] == [
        ("decision", "days > 30: refuse", 6), ("decision", "always: returns", 6),
    ]  # fmt: skip
