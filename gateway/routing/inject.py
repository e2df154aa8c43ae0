"""A rule set as the weak model reads it.

What is injected is computed once per rule set and is the same bytes in the same place for every request, so that the
upstream's prompt cache keeps hitting. It follows the caller's own system text, which is kept as it came.
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
