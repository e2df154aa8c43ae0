"""Questions to the strong model about mistakes: a prompt for each lens, for a later round, for refused rules.

Users' texts in them are data (``exhibit``). Does not call a model.
"""

import math
from collections.abc import Sequence

from gateway.domain import Rule, RuleRecord, Value
from optimizer.dataset.items import Item, Mistake
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.redact import redacted
from optimizer.distillation.induction import exhibit, parser
from optimizer.distillation.induction.exhibit import as_data, record_of
from optimizer.distillation.induction.lens import Lens, confusions, labels
from optimizer.distillation.induction.lint import MAX_LENGTH
from optimizer.distillation.rejected import Rejected
from optimizer.grading.graders.ungradable import text_of
from optimizer.prompts import SHIPPED, Prompt, PromptFolder

SHOWN_CHARACTERS = 6000
"""Of all records in one call to a teacher with a short context (4096 tokens): instruction and rules fit as well."""
INSTRUCTION_WORTH_SHOWING = 200
"""Characters. A shorter instruction says no more than the replies do, and misleads a small teacher: shown it, a model
of 1.5 billion parameters never advised to work in steps (0 of 16 trials; docs/experiments.md)."""
SHORT_REPLY = 100
"""Characters: too few for any written working."""
SUCCESSES_PER_GROUP = 2
LONGEST_ASKED = MAX_LENGTH - 50
"""Characters of a rule, as the prompt states them: models count badly."""
AS_LIST = 'Write the rules as a JSON list at the end: [{"rule": "...", "reason": "..."}]'
AS_OBJECT = 'Reply with one JSON object, step 1 in "why": {"why": "...", "rules": [{"rule": "...", "reason": "..."}]}'
_WHEN = (
    ' "when" is a condition in CEL on the words of the question, such as text.lowerAscii().contains("refund"), and'
    " empty for a rule that every question needs."
)
AS_LIST_IF = AS_LIST.replace('[{"rule"', '[{"when": "...", "rule"') + "." + _WHEN
AS_OBJECT_IF = AS_OBJECT.replace('[{"rule"', '[{"when": "...", "rule"') + "." + _WHEN
_AT_ONCE = " It replied at once, without any working."


class Review(Value, frozen=True):
    """A look back at an earlier round: its rules, the remaining mistakes, the refused rules."""

    rules: tuple[Rule, ...]
    mistakes: tuple[Mistake, ...]
    """At least one."""
    refused: tuple[Rejected, ...] = ()


class Teacher(Value, frozen=True):
    """The abilities of a strong model."""

    shaped: bool = False
    """Ask for structured output if the upstream offers it."""
    lenses: bool = False
    """Choose the question by the mistakes; a small teacher is only asked for ways of working."""
    characters: int = SHOWN_CHARACTERS
    """Of all records shown in one call."""
    prompts: PromptFolder = SHIPPED
    conditions: bool = False
    """Ask for a condition on each rule."""


class Question(Value, frozen=True):
    """A question to the strong model, with ``FORM`` in the place of the form of the reply."""

    prompt: str
    mistakes: tuple[Mistake, ...]
    """The mistakes behind its rules."""


FORM = "\x00form\x00"


def questions(
    lens: Lens,
    mistakes: Sequence[Mistake],
    successes: Sequence[Mistake],
    items: Sequence[Item],
    existing: Sequence[Rule],
    teacher: Teacher,
    max_rules: int,
    listed: Sequence[str] = (),
    promising: Sequence[Rule] = (),
) -> list[Question]:
    """Return the questions of a lens."""
    if lens == "procedure":
        prompt = teacher.prompts.load("procedure")
        groups = grouped(mistakes, successes)
        return [
            Question(prompt=_procedure(prompt, group, existing, teacher), mistakes=tuple(group.mistakes))
            for group in groups
        ]
    room = teacher.characters
    blanks = {
        "instruction": instruction_of(mistakes[0], existing, room // 3, least=0, promising=promising),
        "most": str(max_rules),
        "longest": str(LONGEST_ASKED),
        "form": FORM,
    }
    wrong = [record_of(mistake) for mistake in mistakes]
    right = [record_of(success, right=True) for success in successes]
    shown = exhibit.clustered(wrong, right)
    if lens == "conventions":
        asked = {mistake.request for mistake in (*mistakes, *successes)}
        more = [exhibit.labelled_record(item) for item in items if item.request not in asked]
        blanks["records"] = exhibit.shown_records([*shown, *exhibit.by_label(more)], room)
        blanks["labels"] = labels_of(items, listed)
    elif lens == "boundary":
        confused = {answer for pair in confusions(mistakes) for answer in (pair.expected, pair.given)}
        more = [exhibit.labelled_record(item) for item in items if text_of(item.expected).strip() in confused]
        confused_records = [record for record in shown if record.expected.strip() in confused]
        blanks["records"] = exhibit.shown_records([*confused_records, *exhibit.by_label(more)], room)
    else:
        blanks["records"] = exhibit.shown_records(shown, room)
        blanks["tools"] = exhibit.shown_tools([mistake.request for mistake in mistakes], room // 3)
    return [Question(prompt=teacher.prompts.load(lens).filled(**blanks), mistakes=tuple(mistakes))]


def revision(review: Review, teacher: Teacher, max_rules: int, promising: Sequence[Rule] = ()) -> Question:
    """Return the question of a later round."""
    refused = "\n".join(f"- {as_data(entry.what, 500)}: {entry.why}" for entry in review.refused)
    blanks = {
        "rules": exhibit.listing(review.rules) or "(none yet)",
        "instruction": instruction_of(review.mistakes[0], (), teacher.characters // 3, least=0, promising=promising),
        "records": exhibit.shown_records(
            exhibit.clustered([record_of(mistake) for mistake in review.mistakes], ()), teacher.characters
        ),
        "refused": f"\nThese rules were tried or refused before:\n{refused}\n" if refused else "",
        "most": str(max_rules),
        "longest": str(LONGEST_ASKED),
        "form": FORM,
    }
    return Question(prompt=teacher.prompts.load("revise").filled(**blanks), mistakes=review.mistakes)


def repair(refused: Sequence[RuleRecord], teacher: Teacher) -> Question:
    """Return the question about refused rules."""
    lines = "\n".join(f"- {as_data(entry.text, 500)}: {entry.why}" for entry in refused[: parser.MOST])
    prompt = teacher.prompts.load("repair")
    return Question(prompt=prompt.filled(refused=lines, longest=str(LONGEST_ASKED), form=FORM), mistakes=())


class MistakeGroup(Value, frozen=True):
    """Mistakes for one call, and successes for contrast."""

    mistakes: Sequence[Mistake]
    successes: Sequence[Mistake]


def grouped(mistakes: Sequence[Mistake], successes: Sequence[Mistake]) -> list[MistakeGroup]:
    """About sqrt(n) groups of about sqrt(n) mistakes each, with successes for contrast, dealt like cards."""
    count = max(1, round(math.sqrt(len(mistakes))))
    return [
        MistakeGroup(mistakes=mistakes[start::count], successes=successes[start::count][:SUCCESSES_PER_GROUP])
        for start in range(count)
        if mistakes[start::count]
    ]


def _procedure(prompt: Prompt, group: MistakeGroup, existing: Sequence[Rule], teacher: Teacher) -> str:
    room = teacher.characters // (len(group.mistakes) + len(group.successes) + 1)
    right = "\n".join(_example("success", success, room) for success in group.successes)
    return prompt.filled(
        instruction=instruction_of(group.mistakes[0], existing, room, least=INSTRUCTION_WORTH_SHOWING),
        mistakes="\n\n".join(_example("mistake", mistake, room) for mistake in group.mistakes),
        manner=_AT_ONCE if all(len(mistake.reply) <= SHORT_REPLY for mistake in group.mistakes) else "",
        successes=f"\nTo these it replied rightly:\n\n{right}\n" if right else "",
        form=FORM,
    )


def instruction_of(
    first: Mistake, existing: Sequence[Rule], room: int, *, least: int, promising: Sequence[Rule] = ()
) -> str:
    """Return the operator's instruction, if it has ``least`` characters, and the weak model's present rules.

    Behind them come the ``promising`` ones, with the warning that they are not proven.
    """
    system = read_request(first.request).instructions
    text = redacted(system.strip())[0] if len(system) >= least else ""
    if existing:
        text += "\n\nRules that it has already:\n" + "\n".join(f"- {rule.text}" for rule in existing)
    if promising:
        text += "\n\nRules that looked promising in earlier trials and are unproven: keep, mend or drop them:\n"
        text += "\n".join(f"- {rule.text}" for rule in promising)
    return f"\n<instruction>{as_data(text.strip(), room)}</instruction>\n" if text else ""


def labels_of(items: Sequence[Item], listed: Sequence[str] = ()) -> str:
    """Return the labels of a task as data; empty for an open set of answers."""
    names = labels([item.expected for item in items], listed)
    return f"<labels>{as_data('; '.join(redacted(*names)), 4000)}</labels>\n" if names else ""


def _example(kind: str, shown: Mistake, room: int) -> str:
    record = record_of(shown)
    remark = f"<remark>{as_data(record.remark, room // 4)}</remark>\n" if record.remark else ""
    return (
        f"<{kind}>\n<question>{as_data(record.question, room // 2)}</question>\n"
        f"<reply>{as_data(record.reply or '', room // 4)}</reply>\n"
        f"<expected>{as_data(record.expected, room // 4)}</expected>\n{remark}</{kind}>"
    )
