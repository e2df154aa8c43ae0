"""Worksheets by the strong model: a form for the weak model to fill in, and a decision list for the gateway to run.

Whatever the strong model writes is checked before it is tried: the schema is a flat object of facts, each condition is
CEL over its properties, each result is a label of the task, and every text passes the lint of rules. Users' texts in
the question are data (``exhibit``). Does not measure a worksheet.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain import Value
from gateway.errors import BadRequest
from gateway.forms.cel import parse_condition
from gateway.teaching import DecisionRule, Worksheet
from optimizer.dataset.items import Item, Mistake
from optimizer.distillation.induction import exhibit
from optimizer.distillation.induction.exhibit import as_data, record_of
from optimizer.distillation.induction.lens import labels
from optimizer.distillation.induction.lint import Corpus, problems
from optimizer.distillation.induction.questions import Teacher, instruction_of, labels_of
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.grading.graders.ungradable import text_of

FIELDS = 12
"""Properties of a form."""
VALUES = 40
"""Values of an enum."""
DECISIONS = 60
"""Lines of a decision list."""
TRIES = 2
"""Answers of the strong model: a refused worksheet comes back once, with the reason."""
_TYPES = ("string", "number", "integer", "boolean")
_LINT_OF_LENGTH = "characters, not"


class ProposedWorksheet(Value, frozen=True):
    """A worksheet to try; ``None`` with the reason."""

    worksheet: Worksheet | None = None
    note: str = ""


async def propose_worksheet(
    evaluator: Evaluator,
    strong: ModelClient,
    *,
    mistakes: Sequence[Mistake],
    successes: Sequence[Mistake],
    items: Sequence[Item],
    known: Corpus,
    teacher: Teacher,
    listed: Sequence[str] = (),
    earlier: Worksheet | None = None,
) -> ProposedWorksheet:
    """Have the strong model design a worksheet for a task with labels, or revise an ``earlier`` one.

    Raises the errors of ``Evaluator.consult``.
    """
    names = labels([item.expected for item in items], listed)
    if not names:
        return ProposedWorksheet(note="the answers are no closed set of labels, so no decision list can name them")
    room = teacher.characters
    blanks = {
        "instruction": instruction_of(mistakes[0], (), room // 3, least=0),
        "labels": labels_of(items, listed),
        "fields": str(FIELDS),
    }
    right = [record_of(success, right=True) for success in successes] if earlier is None else []
    asked = {mistake.request for mistake in (*mistakes, *(successes if earlier is None else ()))}
    more = exhibit.by_label([exhibit.labelled_record(item) for item in items if item.request not in asked])
    wrong = [record_of(mistake) for mistake in mistakes]
    blanks["records"] = exhibit.shown_records([*exhibit.clustered(wrong, right), *more], room)
    if earlier is not None:
        shown = {name: part for name, part in msgspec.to_builtins(earlier).items() if name != "decide"}
        blanks["worksheet"] = as_data(json.dumps(shown, ensure_ascii=False), room)
    prompt = teacher.prompts.load("worksheet" if earlier is None else "worksheet_revise").filled(**blanks)
    asking = [{"role": "user", "content": prompt}]
    proposed = ProposedWorksheet()
    for _ in range(TRIES):
        body = msgspec.json.encode({"messages": asking})
        answer = await evaluator.consult(strong, body, purpose="worksheet", whole=True)
        proposed = read_worksheet(answer.text, names, known)
        if proposed.worksheet is not None or not answer.text.strip():
            break
        repair = f"{proposed.note}. Write the whole JSON object again so that it passes."
        asking += [{"role": "assistant", "content": answer.text}, {"role": "user", "content": repair}]
    return proposed


def read_worksheet(written: str, names: Sequence[str], known: Corpus) -> ProposedWorksheet:
    """Return the worksheet in a strong model's reply, if it may be tried. Never raises."""
    value = _object_in(written)
    sheet = value.get("worksheet", value) if value is not None else None
    if not isinstance(sheet, dict):
        return ProposedWorksheet(note="the strong model wrote no worksheet: its reply holds no JSON object")
    objection = _schema_objection(sheet.get("schema"), known)
    if objection:
        return ProposedWorksheet(note=f"the worksheet was refused: {objection}")
    fields = frozenset(sheet["schema"]["properties"]) | {"text"}
    decisions, objection = _decisions(sheet.get("decisions"), fields, names, known)
    if objection:
        return ProposedWorksheet(note=f"the worksheet was refused: {objection}")
    return ProposedWorksheet(worksheet=Worksheet(schema=_plain_schema(sheet["schema"]), decisions=decisions))


def _object_in(written: str) -> dict[str, Any] | None:
    """The first JSON object in a text, a code fence or prose around it."""
    decoder, start = json.JSONDecoder(), written.find("{")
    for _ in range(20):
        if start < 0:
            return None
        try:
            value, _ = decoder.raw_decode(written, start)
        except (ValueError, RecursionError):
            start = written.find("{", start + 1)
        else:
            return value if isinstance(value, dict) else None
    return None


def _schema_objection(schema: Any, known: Corpus) -> str:
    """The reason against a schema; empty if it may be used."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not 1 <= len(properties) <= FIELDS:
        return f"its schema is no object with 1 to {FIELDS} properties"
    for name, field in properties.items():
        if (
            not isinstance(name, str)
            or not (name.isascii() and name.isidentifier())
            or len(name) > 40
            or name == "text"
        ):
            return f"{name!r:.60} is no name for a property"
        if not isinstance(field, dict) or field.get("type") not in _TYPES:
            return f"the property {name!r} is no string, number, integer or boolean"
        values = field.get("enum", [])
        if field["type"] == "string" and not values:
            return f"the property {name!r} is a string without an enum"
        if not isinstance(values, list) or len(values) > VALUES or not all(isinstance(value, str) for value in values):
            return f"the enum of {name!r} is no list of up to {VALUES} texts"
        words = " ".join([str(field.get("description", "")), *(value for value in values if len(value) > 20)])
        if objection := _text_objection(words, known):
            return f"the property {name!r} {objection}"
    return ""


def _decisions(
    lines: Any, fields: frozenset[str], names: Sequence[str], known: Corpus
) -> tuple[tuple[DecisionRule, ...], str]:
    """The decision list, or the reason against it."""
    if not isinstance(lines, list) or not 1 <= len(lines) <= DECISIONS:
        return (), f"its decision list has not 1 to {DECISIONS} lines"
    decisions = []
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or not isinstance(line.get("when", ""), str):
            return (), f"line {number} of its decision list is no condition with a result"
        result = text_of(line.get("result")).strip()
        if result not in names:
            return (), f"line {number} of its decision list leads to {result!r:.60}, which is no label of the task"
        try:
            condition = parse_condition(line.get("when", ""))
        except BadRequest as error:
            return (), f"line {number} of its decision list: {error.message}"
        if strange := condition.names - fields:
            return (), f"line {number} of its decision list asks for {min(strange)!r}, which is no property"
        if objection := _text_objection(line.get("when", ""), known):
            return (), f"line {number} of its decision list {objection}"
        reason = str(line.get("reason", ""))[:200]
        decisions.append(DecisionRule(when=line.get("when", ""), result=result, reason=reason))
    return tuple(decisions), ""


def _text_objection(text: str, known: Corpus) -> str:
    """The lint's reason against a text; its length and its looks are no reason here."""
    reasons = [
        reason
        for reason in problems(text, known)
        if _LINT_OF_LENGTH not in reason and reason != "is not a readable sentence"
    ]
    return reasons[0] if reasons else ""


def _plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with known keywords only, closed, every property required."""
    kept = ("type", "enum", "description", "minimum", "maximum")
    properties = {
        name: {key: field[key] for key in kept if key in field} for name, field in schema["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
