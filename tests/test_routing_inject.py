"""A rule set as the weak model reads it: the same text for the same rules."""

import msgspec
import pytest

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.routing.inject import compile_rules

RULES = RuleSet(task="sums", version=3, rules=(Rule(text="Work in steps.", reason="It guessed."), Rule(text="Check.")))


def test_rules_are_numbered_under_a_heading_that_lets_them_win() -> None:
    """The block is the same text for the same rules, and holds no reasons."""
    assert compile_rules(RULES).text == (
        "Rules. Where they conflict with the text above, these rules win.\n1. Work in steps.\n2. Check."
    )


@pytest.mark.parametrize("form", ["tags", "two_pass"])
def test_rules_read_the_same_in_every_form(form: Scratchpad) -> None:
    """The form decides where the model works under them, not what they say."""
    assert compile_rules(msgspec.structs.replace(RULES, scratchpad=form)).text == compile_rules(RULES).text


def test_no_rules_are_no_text() -> None:
    """An empty rule set adds nothing to a request."""
    assert compile_rules(RuleSet(task="sums", version=1)).text == ""
