"""Rules and worksheets by an operator: the part of the lint that guards users' texts and the prompt, not style.

An operator may name tools, answers and labels, and write long rules. But a text with a user's words, a secret or the
mark of a role does harm whoever wrote it, and a reply by the gateway is one of the task's labels. Refuses nothing.
"""

from collections.abc import Iterator, Sequence

from gateway.domain import RuleSet
from gateway.teaching import DECIDED
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.sampling import conversation_names
from optimizer.distillation.induction.lint import corpus, dangers
from optimizer.distillation.rejected import Rejected


def objections(
    rule_set: RuleSet, requests: Sequence[bytes], *, least: int, labels: Sequence[str] = ()
) -> tuple[Rejected, ...]:
    """Return the dangerous texts of a rule set beside these users' requests, with the reasons.

    Words in ``least`` conversations are the operator's own template.
    """
    read = [read_request(request) for request in requests]
    known = corpus(
        [request.transcript for request in read], [], conversations=conversation_names(read), least=least,
        instructions=" ".join(request.instructions for request in read),
    )  # fmt: skip
    named = ((text, dangers(text, known)) for text in _texts(rule_set))
    refused = tuple(Rejected(what=text, why="; ".join(reasons)) for text, reasons in named if reasons)
    return refused + tuple(
        Rejected(what=reply, why="would be a reply, and is no label of the task")
        for reply in _replies(rule_set)
        if labels and reply not in labels
    )


def _texts(rule_set: RuleSet) -> Iterator[str]:
    """All words that a model or a condition gets from a rule set; examples are users' texts and have owners."""
    for rule in rule_set.rules:
        yield from filter(None, (rule.text, rule.when))
    if rule_set.worksheet is not None:
        sheet = rule_set.worksheet
        yield from (sheet.instructions, sheet.reply_line.replace(DECIDED, ""))
        yield from (str(field.get("description", "")) for field in sheet.schema["properties"].values())
        for decision in sheet.decisions:
            yield from (decision.when, decision.result)


def _replies(rule_set: RuleSet) -> Sequence[str]:
    sheet = rule_set.worksheet
    return [decision.result for decision in sheet.decisions] if sheet is not None and sheet.decide == "answer" else []
