"""Induction: the strong model explains mistakes, then writes rules that would have prevented them.

The look of the mistakes chooses the lenses, the questions that are asked (``lens``). Advice on how to work is asked of
groups of about the square root of the mistakes: a single call with all of them yields worse advice. Conventions are
asked of all labelled records at once: a convention shows only in many of them. Reasons come before rules, as in
Hypotheses-to-Theories (arXiv 2310.07064, section 3). Refused rules come back for one repair. A later round shows the
remaining mistakes and asks for the whole list again (``Review``). Does not measure any rule.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from gateway.domain import Rule, RuleRecord, Value
from gateway.errors import PreceptorError, UpstreamRefused
from optimizer.dataset.items import Item, Mistake, item_of
from optimizer.dataset.redact import redacted
from optimizer.distillation import rule_records as records
from optimizer.distillation.induction import parser
from optimizer.distillation.induction.conditions import condition_problems
from optimizer.distillation.induction.exhibit import clipped
from optimizer.distillation.induction.lens import Lens, lenses
from optimizer.distillation.induction.lint import Corpus, problems
from optimizer.distillation.induction.merge import Merger, likeness, merged
from optimizer.distillation.induction.questions import (
    AS_LIST,
    AS_LIST_IF,
    AS_OBJECT,
    AS_OBJECT_IF,
    FORM,
    Question,
    Review,
    Teacher,
    questions,
    repair,
    revision,
)
from optimizer.distillation.induction.structured import ask_for_rules
from optimizer.distillation.rejected import Rejected
from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient
from optimizer.evaluation.set_aside import is_about_the_request

__all__ = ["SMALL_TEACHER", "Induced", "Review", "Teacher", "induce"]

SMALL_TEACHER = Teacher()
"""A model that is asked for ways of working, in plain text, on a short context."""
_REASON_LENGTH = 200  # characters


class Induced(Value, frozen=True):
    """The rules worth testing, best supported first. Without any rule, ``note`` gives the reason."""

    rules: tuple[Rule, ...]
    records: tuple[RuleRecord, ...]
    """Every rule that the strong model wrote, once, with its fate."""
    note: str = ""
    lenses: tuple[Lens, ...] = ()
    ordered: tuple[Rule, ...] = ()
    """The rules in the order in which they must be checked, if the strong model wrote them as one list."""

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The rules not worth testing, with the reasons."""
        return tuple(Rejected(what=entry.text, why=entry.why) for entry in self.records if entry.status != "proposed")


async def induce(
    evaluator: Evaluator,
    strong: ModelClient,
    *,
    mistakes: Sequence[Mistake],
    successes: Sequence[Mistake],
    existing: Sequence[Rule],
    known: Corpus,
    max_rules: int,
    teacher: Teacher = SMALL_TEACHER,
    items: Sequence[Item] = (),
    listed: Sequence[str] = (),
    promising: Sequence[Rule] = (),
    review: Review | None = None,
) -> Induced:
    """Have the strong model explain mistakes and write rules; merge what passes the lint.

    ``items`` are labelled examples to show beside the mistakes, ``listed`` are the operator's labels. ``promising``
    rules of earlier cycles are shown as unproven, and stand behind the new ones. With ``review``
    the strong model revises the rules of an earlier round instead. Raises the errors of ``Evaluator.ask``, and
    ``ConfigurationError`` for a damaged prompt file.
    """
    chosen = lenses(mistakes, items, listed) if teacher.lenses else ("procedure",)
    if review is not None:
        calls = [revision(review, teacher, max_rules, promising)]
    else:
        calls = [
            question
            for lens in chosen
            for question in questions(lens, mistakes, successes, items, existing, teacher, max_rules, listed, promising)
        ]

    failures: list[PreceptorError] = []

    async def teach(question: Question) -> Answer:
        free, form = (AS_LIST_IF, AS_OBJECT_IF) if teacher.conditions else (AS_LIST, AS_OBJECT)
        shape = question.prompt.replace(FORM, form) if teacher.shaped else None
        try:
            return await ask_for_rules(
                evaluator, strong, question.prompt.replace(FORM, free), shape, conditions=teacher.conditions
            )
        except UpstreamRefused as error:
            # A content filter may refuse a question for a single mistake; a teacher too slow for it is failing.
            failures.append(error)
            if not is_about_the_request(error) or len(failures) == len(calls):
                raise
            return Answer(text="", calls=0)

    replies = await evaluator.each(teach, calls, stage="induction")
    proposals = [_proposed(reply.text, teacher) for reply in replies]
    refused: dict[str, RuleRecord] = {}
    sound = [[rule for rule in rules if _passes(rule, known, refused)] for rules in proposals]
    sources = [tuple(_id_of(mistake) for mistake in call.mistakes) for call in calls]
    first: list[Rule] = sound[0] if sound else []
    if refused and teacher.lenses:
        before = [rule for rules in proposals for rule in rules if rule.id in refused]
        mended = _proposed((await teach(repair(tuple(refused.values()), teacher))).text, teacher)
        written = {rule.id for rules in sound for rule in rules}
        sound.append([rule for rule in mended if rule.id not in written and _passes(rule, known, refused)])
        sources.append(tuple(dict.fromkeys(source for group in sources for source in group)))
        first = _in_order(proposals[0], before, sound[-1])
    unproven = [rule for rule in promising if _passes(rule, known, refused)]
    written = {rule.id for rule in first}
    as_list = [*first, *(rule for rule in unproven if rule.id not in written)] if teacher.lenses else []
    as_list = as_list[:max_rules]
    sound.append(unproven)
    sources.append(())
    union = merged(sound, () if review is not None else existing)
    books = _books(union, sources, max_rules, {rule.id for rule in as_list})
    return Induced(
        rules=tuple(entry.rule for entry in union.rules[:max_rules]),
        records=(*books, *(entry for entry in refused.values() if entry.id not in {known.id for known in books})),
        note="" if union.rules else _why_none(sum(map(len, proposals)), refused, replies[0]),
        lenses=chosen,
        ordered=tuple(as_list),
    )


def _proposed(written: str, teacher: Teacher) -> list[Rule]:
    """The rules of one reply; the explanation before them is the reason of a rule without its own.

    A condition that nobody asked for is left out.
    """
    first = written.strip().partition("\n")[0].removeprefix("Step 1: ")
    explanation = "" if first.startswith(("{", "[", "`")) else clipped(redacted(first)[0], _REASON_LENGTH)
    return [
        Rule(
            text=rule.text,
            reason=clipped(redacted(rule.reason)[0], _REASON_LENGTH) or explanation,
            when=rule.when if teacher.conditions else "",
        )
        for rule in parser.rules_in(written)
    ]


def _in_order(written: Sequence[Rule], refused: Sequence[Rule], mended: Sequence[Rule]) -> list[Rule]:
    """One reply's rules in their order, each mended rule in the place of the refused one that it is most like."""
    places: dict[str, list[Rule]] = {rule.id: [] for rule in refused}
    for rule in mended:
        places[max(refused, key=lambda old: likeness(rule, old)).id].append(rule)
    return [kept for rule in written for kept in places.get(rule.id, [rule])]


def _books(
    union: Merger, sources: Sequence[tuple[str, ...]], max_rules: int, in_list: AbstractSet[str]
) -> list[RuleRecord]:
    """A record of every rule that passed the lint, with the mistakes of its groups.

    A rule beyond ``max_rules`` is one too many, unless it stands ``in_list``, by its id.
    """
    books = []
    too_many = f"all questions together brought {len(union.rules)} rules, and {max_rules} are tried at most"
    for place, entry in enumerate(union.rules):
        mistakes = tuple(dict.fromkeys(source for group in entry.groups for source in sources[group]))
        entered = records.record(entry.rule, mistakes=mistakes, groups=len(entry.groups))
        if place >= max_rules and in_list.isdisjoint({entry.rule.id, *(same.id for same in entry.same)}):
            entered = msgspec.structs.replace(entered, status="surplus", why=too_many)
        books.append(entered)
        books += [records.record(same, "merged", f"says the same as {entry.rule.text!r}") for same in entry.same]
    return books + [records.record(rule, "known", "is in the active rule set already") for rule in union.known]


def _id_of(mistake: Mistake) -> str:
    """The id of the item behind a mistake."""
    return item_of(msgspec.json.decode(mistake.request), None).id


def _passes(rule: Rule, known: Corpus, refused: dict[str, RuleRecord]) -> bool:
    objections = [*problems(rule.text, known), *condition_problems(rule.when, known)]
    if objections:
        shown = Rule(text=clipped(rule.text, _REASON_LENGTH), reason=rule.reason, when=rule.when)
        refused.setdefault(
            rule.id, msgspec.structs.replace(records.record(shown, "refused", "; ".join(objections)), id=rule.id)
        )
    return not objections


def _why_none(count: int, refused: dict[str, RuleRecord], first: Answer) -> str:
    if not count:
        shown = clipped(" ".join(first.text.split()), _REASON_LENGTH)
        cut = ", and it was cut off" if first.finish_reason == "length" else ""
        return f"the strong model wrote no usable rule: its replies hold no list of rules (the first: {shown!r}{cut})"
    if refused:
        example = next(iter(refused.values()))
        return (
            f"the strong model wrote no usable rule: all {count} were refused or known ({example.text!r} {example.why})"
        )
    return f"the strong model wrote no new rule: all {count} are in the active rule set already"
