"""Rule sets as plain text: the injected text out, a line per rule in."""

import re

from gateway.domain import Rule, RuleSet
from gateway.errors import BadRequest
from gateway.forms.guidance import HEADING
from gateway.routing.inject import compile_rules

_BULLET = re.compile(r"(?:[-*\u2022]|\d{1,3}[.)])\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def injected_text(rule_set: RuleSet) -> str:
    """Return the rules exactly as they stand in the weak model's system message; empty without any."""
    return compile_rules(rule_set).text


def rules_from_lines(text: str, task: str) -> RuleSet:
    """Return an unpublished rule set from lines, a rule each. Raises ``BadRequest`` for text without any rule.

    Bullets, numbers, empty lines, comments (``#``) and the heading of an injected text are left out.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    rules = [_BULLET.sub("", line, count=1) for line in lines if line and line != HEADING and not line.startswith("#")]
    if not rules:
        raise BadRequest("the text holds no rule: write one on each line")
    if any(_CONTROL.search(rule) for rule in rules):
        raise BadRequest("the text holds control characters: it is not plain text")
    return RuleSet(task=task, rules=tuple(Rule(text=rule) for rule in rules))
