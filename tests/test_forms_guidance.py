"""Rules with conditions: a request gets those that concern it, in equal bytes for equal sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Rule
from gateway.forms.cel import BadCondition
from gateway.forms.guidance import Guidance, compile_rule_text

HEADING = "Rules. Where they conflict with the text above, these rules win."
RULES = compile_rule_text(
    [
        Rule(text="Be kind."),
        Rule(text="Name the refund.", when="text.contains('refund')"),
        Rule(text="Name the city.", when="city == 'Graz'"),
    ]
)


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        ({"text": "hello"}, "1. Be kind."),
        ({"text": "a refund"}, "1. Be kind.\n2. Name the refund."),
        ({"text": "hello", "city": "Graz"}, "1. Be kind.\n2. Name the city."),
        ({"text": "a refund", "city": "Graz"}, "1. Be kind.\n2. Name the refund.\n3. Name the city."),
    ],
)
def test_a_request_gets_the_rules_whose_condition_holds(facts: dict[str, str], rules: str) -> None:
    """Numbered without gaps; a rule without a condition concerns every request."""
    assert Guidance(rules=RULES, facts=facts).instructions == f"{HEADING}\n{rules}"


@given(st.text(), st.text())
def test_equal_sets_of_rules_are_equal_bytes(first: str, second: str) -> None:
    """The facts themselves never reach the text, so prompt caches keep hitting."""
    asked = [Guidance(rules=RULES, facts={"text": text}).instructions for text in (first, second)]
    assert (asked[0] == asked[1]) is (("refund" in first) == ("refund" in second))


def test_no_rule_that_holds_is_no_text() -> None:
    """A heading over nothing would be noise."""
    only = compile_rule_text([Rule(text="Name the city.", when="city == 'Graz'")])
    assert only.conditional and Guidance(rules=only).instructions == "" == Guidance().instructions


def test_rules_without_conditions_are_rendered_once() -> None:
    """The same text object for every request."""
    rules = compile_rule_text([Rule(text="Be kind.")])
    assert not rules.conditional
    assert Guidance(rules=rules, facts={"text": "x"}).instructions is rules.text


def test_a_bad_condition_is_refused() -> None:
    """Before the rule set serves."""
    with pytest.raises(BadCondition):
        compile_rule_text([Rule(text="Be kind.", when="text ==")])
