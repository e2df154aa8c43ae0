"""Induction: the strong model explains a group of mistakes, then writes rules that would have prevented them.

Mistakes are shown in groups of about the square root of their number: a single call with all of them yields worse
rules than several calls with a few. Reasons come before rules, as in Hypotheses-to-Theories (arXiv 2310.07064,
section 3). Text by users is shown as data: without secrets, shortened and delimited. Does not measure any rule.
"""

import math
import re
from collections.abc import Sequence

import msgspec

from gateway.domain import Rule, RuleRecord, Value
from gateway.errors import PreceptorError, UpstreamRefused
from optimizer import prompts
from optimizer.dataset.items import Mistake, item_of
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.redact import redacted
from optimizer.distillation import rule_records as records
from optimizer.distillation.induction import parser
from optimizer.distillation.induction.lint import Corpus, problems
from optimizer.distillation.induction.merge import Merger, merged
from optimizer.distillation.induction.structured import ask_for_rules
from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient
from optimizer.evaluation.set_aside import is_about_the_request
from optimizer.grading.graders.ungradable import text_of

SHOWN_CHARACTERS = 6000
"""Of all examples in one call: with instruction, reasons and rules it fits a context of 4096 tokens."""
INSTRUCTION_WORTH_SHOWING = 200
"""Characters. A shorter instruction says no more than the replies do, and misleads a small teacher: shown it, a model
of 1.5 billion parameters never advised to work in steps (0 of 16 trials; docs/experiments.md)."""
SHORT_REPLY = 100
"""Characters: too few for any written working."""
SUCCESSES_PER_GROUP = 2
_AS_LIST = 'Write the rules as a JSON list at the end: [{"rule": "...", "reason": "..."}]'
_AS_OBJECT = 'Reply with one JSON object, step 1 in "why": {"why": "...", "rules": [{"rule": "...", "reason": "..."}]}'
_AT_ONCE = " It replied at once, without any working."
_REASON_LENGTH = 200  # characters
_TAGS = re.compile(r"[<\uff1c](?=\s*/?\s*(?:instruction|mistake|success|question|reply|expected)\b)", re.IGNORECASE)


class Rejected(Value, frozen=True):
    """A candidate or a rule that was not taken, and the reason."""

    what: str
    why: str


class Induced(Value, frozen=True):
    """The rules worth testing, best supported first. Without any rule, ``note`` gives the reason."""

    rules: tuple[Rule, ...]
    records: tuple[RuleRecord, ...]
    """Every rule that the strong model wrote, once, with its fate."""
    note: str = ""

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The rules not worth testing, with the reasons."""
        return tuple(Rejected(what=entry.text, why=entry.why) for entry in self.records if entry.status != "proposed")


class _MistakeGroup(Value, frozen=True):
    mistakes: Sequence[Mistake]
    successes: Sequence[Mistake]


async def induce(
    evaluator: Evaluator,
    strong: ModelClient,
    *,
    mistakes: Sequence[Mistake],
    successes: Sequence[Mistake],
    existing: Sequence[Rule],
    known: Corpus,
    max_rules: int,
    shaped: bool = False,
) -> Induced:
    """Have the strong model explain every group and write rules; merge what passes the lint.

    ``shaped`` asks for structured output if the upstream offers it. Raises the errors of ``Evaluator.ask``, and
    ``ConfigurationError`` for a damaged prompt file.
    """
    prompt = prompts.load("rules", "instruction", "mistakes", "manner", "successes", "form")
    groups = grouped(mistakes, successes)

    failures: list[PreceptorError] = []

    async def teach(group: _MistakeGroup) -> Answer:
        shape = _question(prompt, group, existing, _AS_OBJECT) if shaped else None
        try:
            return await ask_for_rules(evaluator, strong, _question(prompt, group, existing, _AS_LIST), shape)
        except UpstreamRefused as error:
            # A content filter may refuse a group for a single mistake; a teacher too slow for a group is failing.
            failures.append(error)
            if not is_about_the_request(error) or len(failures) == len(groups):
                raise
            return Answer(text="", calls=0)

    replies = await evaluator.each(teach, groups, stage="induction")
    proposals = [_proposed(reply.text) for reply in replies]
    refused: dict[str, RuleRecord] = {}
    sound = [[rule for rule in rules if _passes(rule, known, refused)] for rules in proposals]
    union = merged(sound, existing)
    books = _books(union, [tuple(_id_of(mistake) for mistake in group.mistakes) for group in groups], max_rules)
    return Induced(
        rules=tuple(entry.rule for entry in union.rules[:max_rules]),
        records=(*books, *(entry for entry in refused.values() if entry.id not in {known.id for known in books})),
        note="" if union.rules else _why_none(sum(map(len, proposals)), refused, replies[0]),
    )


def _proposed(written: str) -> list[Rule]:
    """The rules of one reply; the explanation before them is the reason of a rule without its own."""
    first = written.strip().partition("\n")[0].removeprefix("Step 1: ")
    explanation = "" if first.startswith(("{", "[", "`")) else _clipped(redacted(first)[0], _REASON_LENGTH)
    return [
        Rule(text=rule.text, reason=_clipped(redacted(rule.reason)[0], _REASON_LENGTH) or explanation)
        for rule in parser.rules_in(written)
    ]


def _books(union: Merger, sources: Sequence[tuple[str, ...]], max_rules: int) -> list[RuleRecord]:
    """A record of every rule that passed the lint, with the mistakes of its groups."""
    books = []
    for place, entry in enumerate(union.rules):
        mistakes = tuple(dict.fromkeys(source for group in entry.groups for source in sources[group]))
        entered = records.record(entry.rule, mistakes=mistakes, groups=len(entry.groups))
        if place >= max_rules:
            entered = msgspec.structs.replace(entered, status="surplus", why=f"more than {max_rules} rules")
        books.append(entered)
        books += [records.record(same, "merged", f"says the same as {entry.rule.text!r}") for same in entry.same]
    return books + [records.record(rule, "known", "is in the active rule set already") for rule in union.known]


def _id_of(mistake: Mistake) -> str:
    """The id of the item behind a mistake."""
    return item_of(msgspec.json.decode(mistake.request), None).id


def grouped(mistakes: Sequence[Mistake], successes: Sequence[Mistake]) -> list[_MistakeGroup]:
    """About sqrt(n) groups of about sqrt(n) mistakes each, with successes for contrast, dealt like cards."""
    count = max(1, round(math.sqrt(len(mistakes))))
    return [
        _MistakeGroup(mistakes=mistakes[start::count], successes=successes[start::count][:SUCCESSES_PER_GROUP])
        for start in range(count)
        if mistakes[start::count]
    ]


def _passes(rule: Rule, known: Corpus, refused: dict[str, RuleRecord]) -> bool:
    objections = problems(rule.text, known)
    if objections:
        shown = Rule(text=_clipped(rule.text, _REASON_LENGTH), reason=rule.reason)
        refused.setdefault(
            rule.id, msgspec.structs.replace(records.record(shown, "refused", "; ".join(objections)), id=rule.id)
        )
    return not objections


def _why_none(count: int, refused: dict[str, RuleRecord], first: Answer) -> str:
    if not count:
        shown = _clipped(" ".join(first.text.split()), _REASON_LENGTH)
        cut = ", and it was cut off" if first.finish_reason == "length" else ""
        return f"the strong model wrote no usable rule: its replies hold no list of rules (the first: {shown!r}{cut})"
    if refused:
        example = next(iter(refused.values()))
        return (
            f"the strong model wrote no usable rule: all {count} were refused or known ({example.text!r} {example.why})"
        )
    return f"the strong model wrote no new rule: all {count} are in the active rule set already"


def _question(prompt: prompts.Prompt, group: _MistakeGroup, existing: Sequence[Rule], form: str) -> str:
    room = SHOWN_CHARACTERS // (len(group.mistakes) + len(group.successes) + 1)
    system = read_request(group.mistakes[0].request).instructions
    instruction = redacted(system.strip())[0] if len(system) >= INSTRUCTION_WORTH_SHOWING else ""
    if existing:
        instruction += "\n\nRules that it has already:\n" + "\n".join(f"- {rule.text}" for rule in existing)
    right = "\n".join(_example("success", success, room) for success in group.successes)
    return prompt.filled(
        instruction=f"\n<instruction>{_as_data(instruction.strip(), room)}</instruction>\n" if instruction else "",
        mistakes="\n\n".join(_example("mistake", mistake, room) for mistake in group.mistakes),
        manner=_AT_ONCE if all(len(mistake.reply) <= SHORT_REPLY for mistake in group.mistakes) else "",
        successes=f"\nTo these it replied rightly:\n\n{right}\n" if right else "",
        form=form,
    )


def _example(kind: str, shown: Mistake, room: int) -> str:
    question = read_request(shown.request).transcript
    expected = "(not known, but the reply was called wrong)" if shown.expected is None else text_of(shown.expected)
    question, reply, expected = redacted(question, shown.reply, expected)
    return (
        f"<{kind}>\n<question>{_as_data(question, room // 2)}</question>\n"
        f"<reply>{_as_data(reply, room // 4)}</reply>\n"
        f"<expected>{_as_data(expected, room // 4)}</expected>\n</{kind}>"
    )


def _as_data(text: str, room: int) -> str:
    """Text made unable to close the tags around it, shortened in the middle."""
    return _TAGS.sub("&lt;", _clipped(text, room))


def _clipped(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    half = max(1, (room - 5) // 2)
    return f"{text[:half]} ... {text[-half:]}"
