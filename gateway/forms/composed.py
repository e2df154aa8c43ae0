"""The form of a whole version: its scratchpad, with its examples and its worksheet around it."""

from collections.abc import Mapping

from gateway.domain import RuleSet, Scratchpad
from gateway.errors import BadRequest
from gateway.forms.base import Form
from gateway.forms.cel import parse_condition
from gateway.forms.examples import ExampleSet, ExamplesForm
from gateway.forms.none import NONE
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS
from gateway.forms.worksheet import WorksheetForm

MOST_EXAMPLES = 5000
"""Examples of a rule set."""
MOST_FIXED = 64
"""Examples of a rule set that shows all of them."""
LONGEST_EXAMPLE = 20_000
"""Characters of a question, and of an answer."""

FORMS: Mapping[Scratchpad, Form] = {"none": NONE, "tags": TAGS, "two_pass": TWO_PASS}
"""Every scratchpad by its name, the cheapest first."""


def composed(rule_set: RuleSet) -> Form:
    """Return the form of a rule set. Cheap: an index of examples is built by ``Form.prepare``."""
    form: Form = FORMS[rule_set.scratchpad]
    if rule_set.worksheet is not None:
        form = WorksheetForm(form, rule_set.worksheet)
    if rule_set.examples:
        form = ExamplesForm(form, ExampleSet(rule_set.examples, rule_set.examples_mode, rule_set.nearest))
    return form


def check_parts(rule_set: RuleSet) -> None:
    """Raise ``BadRequest`` for a rule set that cannot serve: a bad condition, too many examples."""
    for rule in rule_set.rules:
        parse_condition(rule.when)
    if rule_set.worksheet is not None:
        WorksheetForm(NONE, rule_set.worksheet)
    most = MOST_FIXED if rule_set.examples_mode == "fixed" else MOST_EXAMPLES
    if len(rule_set.examples) > most:
        raise BadRequest(f"a rule set has at most {most} {rule_set.examples_mode} examples")
    for number, example in enumerate(rule_set.examples, start=1):
        if not example.question.strip() or max(len(example.question), len(example.answer)) > LONGEST_EXAMPLE:
            raise BadRequest(f"example {number} has no question, or more than {LONGEST_EXAMPLE} characters")
