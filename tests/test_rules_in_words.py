"""The parts of a version in words: everything but users' texts, so that a person can read and compare it."""

from typing import Any

import msgspec
import pytest

from gateway.domain import Rule, RuleSet
from gateway.rules.in_words import lines_of, parts_in_words
from gateway.teaching import DecisionRule, Example, Worksheet

SHEET = Worksheet(
    schema={
        "properties": {
            "days": {"type": "integer", "description": "since delivery"},
            "item": {"enum": ["cup", "none"]},
        }
    },
    decisions=(
        DecisionRule(when="days > 30", result="refuse", reason="Too late."),
        DecisionRule(when="", result="accept"),
    ),
)
WHOLE = RuleSet(
    task="t", rules=(Rule(text="Be kind.", when="days > 2"),), worksheet=SHEET,
    examples=(Example(question="SECRET", answer="SECRET", key="shop"), Example(question="x", answer="y", shared=True)),
)  # fmt: skip


def test_every_part_has_its_lines_and_no_users_text() -> None:
    """The decision list can be read from above: the first true condition decides."""
    assert lines_of(WHOLE) == [
        "scratchpad: none",
        "Be kind.  (only when days > 2)",
        "examples: the 4 nearest of 2 examples, 1 of them for their own tenants only",
        "worksheet: the model is told the decision, and replies; the first true condition decides",
        "  field days: integer, since delivery",
        "  field item: cup | none",
        "  if days > 30: refuse  (Too late.)",
        "  otherwise: accept",
    ]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "0 rules, scratchpad none"),
        ({"worksheet": SHEET}, "0 rules, scratchpad none, a worksheet with 2 decisions"),
        ({"examples": WHOLE.examples[1:], "examples_mode": "fixed"}, "0 rules, scratchpad none, 1 fixed examples"),
    ],
)
def test_the_parts_in_a_few_words(parts: dict[str, Any], words: str) -> None:
    """For lists of versions."""
    assert parts_in_words(RuleSet(task="t", **parts)) == words


def test_a_decision_as_the_reply_is_said() -> None:
    """Two versions that differ in that alone are not the same to a reader."""
    sheet = msgspec.structs.replace(SHEET, decide="answer")
    assert "worksheet: the decision is the reply; the first true condition decides" in lines_of(
        RuleSet(task="t", worksheet=sheet)
    )
