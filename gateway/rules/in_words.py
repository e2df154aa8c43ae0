"""The parts of a version in words, a line each: for a person to read, and to compare two versions by."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.domain import RuleSet
from gateway.teaching import Worksheet

_REPLIES = {"state": "the model is told the decision, and replies", "answer": "the decision is the reply"}


def parts_in_words(rule_set: RuleSet) -> str:
    """Return the parts of a version in a few words."""
    parts = [f"{len(rule_set.rules)} rules", f"scratchpad {rule_set.scratchpad}"]
    if rule_set.examples:
        parts.append(_examples(rule_set))
    if rule_set.worksheet is not None:
        parts.append(f"a worksheet with {len(rule_set.worksheet.decisions)} decisions")
    return ", ".join(parts)


def lines_of(rule_set: RuleSet) -> list[str]:
    """Return all parts but the texts of examples, which are users' own."""
    lines = [f"scratchpad: {rule_set.scratchpad}"]
    lines += [rule.text + (f"  (only when {rule.when})" if rule.when else "") for rule in rule_set.rules]
    if rule_set.examples:
        lines.append(f"examples: {_examples(rule_set)}")
    return lines + (list(worksheet_lines(rule_set.worksheet)) if rule_set.worksheet is not None else [])


def worksheet_lines(sheet: Worksheet) -> Iterator[str]:
    """Yield the fields of a worksheet and its decision list."""
    yield f"worksheet: {_REPLIES[sheet.decide]}; the first true condition decides"
    for name, field in sheet.schema["properties"].items():
        yield f"  field {name}: {_kind(field)}"
    for line in sheet.decisions:
        reason = f"  ({line.reason})" if line.reason else ""
        yield f"  {f'if {line.when}' if line.when else 'otherwise'}: {line.result}{reason}"


def _examples(rule_set: RuleSet) -> str:
    count, shared = len(rule_set.examples), sum(example.shared for example in rule_set.examples)
    shown = f"the {rule_set.nearest} nearest of {count}" if rule_set.examples_mode == "nearest" else f"{count} fixed"
    owned = f", {count - shared} of them for their own tenants only" if shared < count else ""
    return f"{shown} examples{owned}"


def _kind(field: Mapping[str, Any]) -> str:
    values = field.get("enum")
    kind = " | ".join(map(str, values)) if isinstance(values, list) else str(field.get("type"))
    return f"{kind}, {field['description']}" if field.get("description") else kind
