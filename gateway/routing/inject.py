"""A rule set as the weak model reads it.

The text is computed once per rule set. Every request gets equal bytes behind the caller's own system text, so the
upstream's prompt cache keeps hitting.
"""

from gateway.domain import RuleSet, Value

_HEADING = "Rules. Where they conflict with the text above, these rules win."


class Injection(Value, frozen=True):
    """A rule set, ready to be spliced."""

    rule_set: RuleSet
    text: str
    """The block for the system message; empty for a rule set without rules."""


def compile_rules(rule_set: RuleSet) -> Injection:
    """Render a rule set for injection."""
    if not rule_set.rules:
        return Injection(rule_set=rule_set, text="")
    lines = [_HEADING, *(f"{number}. {rule.text}" for number, rule in enumerate(rule_set.rules, start=1))]
    return Injection(rule_set=rule_set, text="\n".join(lines))
