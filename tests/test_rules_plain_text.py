"""Rule sets as plain text, out and in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Rule, RuleSet
from gateway.errors import BadRequest
from gateway.rules.plain_text import injected_text, rules_from_lines

RULES = RuleSet(task="sums", rules=(Rule(text="Work in steps."), Rule(text="Write 1. as one.")))


def test_the_text_is_the_injected_one() -> None:
    """Numbered, under the heading that the model reads."""
    heading, *lines = injected_text(RULES).splitlines()
    assert heading.startswith("Rules.") and lines == ["1. Work in steps.", "2. Write 1. as one."]
    assert injected_text(RuleSet(task="sums")) == ""


def test_an_exported_text_reads_back() -> None:
    """Heading and numbers are left out, the rest of a line is kept."""
    assert rules_from_lines(injected_text(RULES), "sums") == RULES


def test_a_line_is_a_rule() -> None:
    """With or without a bullet; empty lines and comments are none."""
    text = "\ufeff# house rules\n\n- Be short.\n* Say it once.\n2) Count.\nNo bullet.\n"
    assert [rule.text for rule in rules_from_lines(text, "sums").rules] == [
        "Be short.", "Say it once.", "Count.", "No bullet.",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "# nothing\n", "a\x00b"])
def test_text_without_rules_is_refused(text: str) -> None:
    """And so is a file that is no text."""
    with pytest.raises(BadRequest):
        rules_from_lines(text, "sums")


@given(st.text())
def test_any_text_is_rules_or_a_refusal(text: str) -> None:
    """Nothing else happens."""
    try:
        rule_set = rules_from_lines(text, "sums")
    except BadRequest:
        return
    assert rule_set.rules
