"""Scores induced rules against the true ones of a house policy: precision and recall.

A decision list is run on perfectly filled forms and on the messages behind them, so the score is the teacher's and not
that of the model which fills them in. A rule in words is read for its desk, its values and its numbers. Asks no model.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

from gateway.domain import Value
from gateway.forms.cel import parse_condition
from gateway.teaching import Worksheet
from tests.bench.distillation.house_policy import (
    CUTS,
    SCALES,
    VALUES,
    Atom,
    Facts,
    PolicyRule,
    decided_by,
    message_of,
    some_facts,
)

PROBES = 2000
RIGHT = 0.9
"""The share of a rule's tickets that must reach the right desk for the rule to count."""
_NUMERIC: Mapping[str, re.Pattern[str]] = {
    "days": re.compile(r"day|deliver|age|ago", re.IGNORECASE),
    "price": re.compile(r"price|paid|cost|euro|amount|value", re.IGNORECASE),
}
_MISSING = ("none", "other", "unknown", "not stated", "missing")


class RuleScore(Value, frozen=True):
    """Recall over the true rules, the last one included, and precision over the induced ones."""

    recalled: int
    true: int
    right: int
    induced: int
    agreement: float | None = None
    """The share of tickets at the right desk if every form were filled in perfectly; for decision lists only."""

    @property
    def words(self) -> str:
        """The score in one line."""
        agreed = f", right on {self.agreement:.0%} with perfect forms" if self.agreement is not None else ""
        return f"{self.recalled} of {self.true} true rules, {self.right} of {self.induced} induced rules right{agreed}"


def score_list(policy: tuple[PolicyRule, ...], sheet: Worksheet) -> RuleScore:
    """Score a decision list by what it decides."""
    random, prose = Random("probes"), Random("prose")
    probes = [some_facts(random) for _ in range(PROBES)]
    conditions = [(parse_condition(line.when), line.result.strip().casefold()) for line in sheet.decisions]
    fields = _mapped(sheet.schema)
    by_true: dict[int, list[bool]] = {place: [] for place in range(len(policy))}
    by_line: dict[int, list[bool]] = {place: [] for place in range(len(conditions))}
    for facts in probes:
        place = decided_by(policy, facts)
        form = {**_filled(sheet.schema, fields, facts), "text": message_of(prose, facts)}
        line = next((number for number, (condition, _) in enumerate(conditions) if condition.holds(form)), None)
        good = line is not None and conditions[line][1] == policy[place].desk
        by_true[place].append(good)
        if line is not None:
            by_line[line].append(good)
    return RuleScore(
        recalled=sum(_mostly(hits) for hits in by_true.values()), true=len(policy),
        right=sum(_mostly(hits) for hits in by_line.values()), induced=len(conditions),
        agreement=sum(map(sum, by_true.values())) / PROBES,
    )  # fmt: skip


def score_texts(policy: tuple[PolicyRule, ...], rules: Sequence[str]) -> RuleScore:
    """Score rules in words, which may split a true rule with several values into a rule for each.

    A case of a true rule is stated by a rule with its desk, a value of each condition, the cuts and the exception.
    """
    stated = [[{text for text in rules if _states(text, case)} for case in cases(rule)] for rule in policy]
    right = set().union(*(texts for found in stated for texts in found))
    return RuleScore(
        recalled=sum(all(found) for found in stated), true=len(policy), right=len(right), induced=len(rules)
    )


def cases(rule: PolicyRule) -> list[PolicyRule]:
    """Return the rule once for every choice of one value per condition."""
    choices = [[Atom(field=atom.field, values=(value,)) for value in atom.values] or [atom] for atom in rule.conditions]
    return [PolicyRule(desk=rule.desk, conditions=chosen, unless=rule.unless) for chosen in product(*choices)]


def _mostly(hits: Sequence[bool]) -> bool:
    return bool(hits) and sum(hits) >= RIGHT * len(hits)


def _states(text: str, rule: PolicyRule) -> bool:
    words = text.casefold()
    if rule.desk not in words:
        return False
    if not rule.conditions:
        return bool(re.search(r"\b(?:other|else|otherwise|none of|default|remaining|no rule)\b", words))
    atoms = [*rule.conditions, *([rule.unless] if rule.unless is not None else [])]
    return all(_names(words, atom) for atom in atoms)


def _names(words: str, atom: Atom) -> bool:
    """Whether every value is named, or a number between the places of the scale around the cut."""
    if atom.values:
        return all(value.casefold() in words for value in atom.values)
    cut = next(cut for cut in CUTS[atom.field] if cut in (atom.above, atom.below))
    low = max(place for place in SCALES[atom.field] if place <= cut)
    high = min(place for place in SCALES[atom.field] if place >= cut)
    return any(low <= int(number) <= high for number in re.findall(r"\d+", words))


def _mapped(schema: Mapping[str, Any]) -> dict[str, str]:
    """The true field behind each property of a form, as far as values or name tell."""
    fields: dict[str, str] = {}
    for name, part in schema["properties"].items():
        enum = {str(value).casefold() for value in part.get("enum", ())}
        shared = {field: sum(value.casefold() in enum for value in values) for field, values in VALUES.items()}
        best = max(shared, key=lambda field: shared[field])
        if shared[best] >= 2:
            fields[name] = best
        elif part["type"] in ("number", "integer"):
            about = f"{name} {part.get('description', '')}"
            found = {field: match.start() for field, pattern in _NUMERIC.items() if (match := pattern.search(about))}
            fields |= {name: min(found, key=lambda field: found[field])} if found else {}
    return fields


def _filled(schema: Mapping[str, Any], fields: Mapping[str, str], facts: Facts) -> dict[str, Any]:
    """A form as a perfect reader would fill it in."""
    form: dict[str, Any] = {}
    for name, part in schema["properties"].items():
        enum = part.get("enum", [])
        true = getattr(facts, fields[name]) if name in fields else None
        if enum:
            same = [value for value in enum if str(value).casefold() == str(true).casefold()]
            spare = [value for value in enum if str(value).casefold() in _MISSING]
            form[name] = (same or spare or enum[-1:])[0]
        else:
            form[name] = true if true is not None else {"boolean": False, "string": ""}.get(part["type"], 0)
    return form
