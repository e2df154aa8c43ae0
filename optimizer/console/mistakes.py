"""Why it fails: the wrong replies of late in groups, each with its count, examples, and the rules written from it.

Groups come from what is known without another call of a model: refusals and cut replies, the grader's words, labels
that are confused, people's comments.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.domain import RuleRecord, Value
from gateway.errors import PreceptorError
from gateway.settings import Grader
from gateway.store.base import Graded
from gateway.store.history import active_decisions
from optimizer.console.task import outcome_of
from optimizer.console.visit import Page, Visit
from optimizer.dataset.items import item_of_request
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.refusal import refuses
from optimizer.dataset.remarks import comment_of
from optimizer.distillation.induction.lens import labels
from optimizer.distillation.outcome import Outcome
from optimizer.grading.graders import Submission, grader_for, text_of

_READ = 1000
_BYTES = 8_000_000
_CYCLES = 20
_EXAMPLES = 3
_SHORT = 60
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\d+(?:[.,]\d+)*")


class WrongReply(Value, frozen=True):
    """A reply that somebody called wrong."""

    id: str
    question: str
    reply: str
    expected: str
    item: str
    """The id by which a run of the learner knows the request; empty for none."""
    live: bool
    """The version that serves now gave it."""


class FailureGroup(Value, frozen=True):
    """Wrong replies of one kind."""

    name: str
    kind: str
    """The source of the name."""
    replies: tuple[WrongReply, ...]
    """Newest first."""
    rules: tuple[RuleRecord, ...] = ()
    """Rules that a run wrote from mistakes of the group."""

    @property
    def left(self) -> int:
        """Replies of the version that serves now."""
        return sum(reply.live for reply in self.replies)

    @property
    def examples(self) -> tuple[WrongReply, ...]:
        """A few to look at, those of the version that serves now first."""
        return tuple(sorted(self.replies, key=lambda reply: not reply.live)[:_EXAMPLES])


def mistakes_page(visit: Visit) -> Page:
    """Show the groups of wrong replies."""
    task, section = visit.task()
    store = visit.store
    read = store.graded(task, limit=_READ, max_bytes=_BYTES)
    judged = [entry for entry in read if entry.feedback.is_correct is not None]
    serving = active_decisions(store.history(task))
    live = serving.live.version if serving.live is not None else None
    runs = [(cycle, outcome) for cycle in store.cycles(task, limit=_CYCLES) if (outcome := outcome_of(cycle))]
    groups = with_rules(mistake_groups(judged, section.grader, section.labels, live), [outcome for _, outcome in runs])
    newest = next(((cycle, outcome) for cycle, outcome in runs if outcome.records or outcome.rejected), None)
    wrong = sum(len(group.replies) for group in groups)
    by_live = [entry for entry in judged if entry.exchange.rules == live and entry.exchange.model == section.weak]
    values = {
        "task": task, "groups": groups, "judged": len(judged), "wrong": wrong, "most": _READ, "live": live,
        "live_judged": len(by_live), "live_wrong": sum(group.left for group in groups),
        "run": newest[0] if newest else None, "outcome": newest[1] if newest else None,
        "lead": _lead(groups, wrong, len(judged)),
    }  # fmt: skip
    return Page(template="mistakes.html", values=values)


def mistake_groups(
    judged: Sequence[Graded], grader: Grader, listed: Sequence[str], live: int | None
) -> list[FailureGroup]:
    """Return the wrong ones of judged exchanges in groups, the largest first. ``live`` is the version that serves now.

    Answers are a closed set if there are few of them, or the operator ``listed`` them.
    """
    answers = [entry.feedback.expected for entry in judged]
    closed = bool(labels(answers, listed))
    wrong = [entry for entry in judged if entry.feedback.is_correct is False]
    confused = Counter(_confusion(entry) for entry in wrong)
    groups: dict[tuple[str, str], list[WrongReply]] = {}
    for entry in wrong:
        name = _name(entry, grader, closed, confused)
        groups.setdefault(name, []).append(_wrong_reply(entry, live))
    made = [FailureGroup(name=name, kind=kind, replies=tuple(replies)) for (name, kind), replies in groups.items()]
    return sorted(made, key=lambda group: (-len(group.replies), group.name))


def with_rules(groups: Sequence[FailureGroup], outcomes: Sequence[Outcome]) -> list[FailureGroup]:
    """Return the groups with the rules of these runs, the newest first, that were written from their mistakes."""
    sources: dict[str, list[RuleRecord]] = {}
    known: dict[str, RuleRecord] = {}
    for outcome in outcomes:
        for record in outcome.records:
            if known.setdefault(record.id, record) is record:
                for item in record.mistakes:
                    sources.setdefault(item, []).append(record)
    return [_with_rules(group, sources) for group in groups]


def _with_rules(group: FailureGroup, sources: Mapping[str, Sequence[RuleRecord]]) -> FailureGroup:
    written = {record.id: record for reply in group.replies for record in sources.get(reply.item, ())}
    rules = sorted(written.values(), key=lambda record: record.status != "kept")
    return FailureGroup(name=group.name, kind=group.kind, replies=group.replies, rules=tuple(rules[:_EXAMPLES]))


def _name(entry: Graded, grader: Grader, closed: bool, confused: Mapping[tuple[str, str], int]) -> tuple[str, str]:
    """Return the name of the group of a wrong reply, and where the name comes from."""
    exchange, expected, comment = entry.exchange, entry.feedback.expected, comment_of(entry.feedback)
    reply = (exchange.reply or "").strip()
    if exchange.finish_reason == "length":
        return "cut off at the length limit", "the reply's end"
    if not reply and not exchange.tool_calls:
        return "an empty reply", "the reply"
    if refuses(reply, read_request(exchange.request)):
        return "the model declined to answer", "the reply's opening"
    if remark := _remark(entry, grader):
        return remark, "the grader"
    if closed and expected is not None and len(reply) <= _SHORT:
        pair = _confusion(entry)
        if confused[pair] > 1:
            return f"“{reply}” where “{pair[0]}” is right", "labels"
        return f"another label where “{pair[0]}” is right", "labels"
    if comment:
        return " ".join(comment.split())[:_SHORT].casefold(), "comments"
    return "another answer than the right one", "no more is known"


def _confusion(entry: Graded) -> tuple[str, str]:
    return text_of(entry.feedback.expected).strip(), (entry.exchange.reply or "").strip()


def _remark(entry: Graded, grader: Grader) -> str:
    """Return the grader's words on a reply without its own names and numbers; empty where they take long or fail."""
    made, expected = grader_for(grader), entry.feedback.expected
    if expected is None or made.is_slow or made.is_judged or not made.grades_records:
        return ""
    exchange = entry.exchange
    given = Submission(text=exchange.reply or "", tool_calls=exchange.tool_calls, request=exchange.request)
    try:
        words = made.assess(given, expected).remark
    except PreceptorError:
        return ""
    return _QUOTED.sub("…", " ".join(words.split()))[: 2 * _SHORT]


def _wrong_reply(entry: Graded, live: int | None) -> WrongReply:
    exchange = entry.exchange
    try:
        item = item_of_request(exchange.request).id
    except PreceptorError:
        item = ""
    turns = read_request(exchange.request).turns
    return WrongReply(
        id=exchange.id,
        question=next((turn.text for turn in reversed(turns) if turn.role == "user"), ""),
        reply=exchange.reply or "",
        expected="" if entry.feedback.expected is None else text_of(entry.feedback.expected),
        item=item,
        live=exchange.rules == live,
    )


def _lead(groups: Sequence[FailureGroup], wrong: int, judged: int) -> str:
    if not judged:
        return "Nobody judged a reply yet: label some in the queue, or send feedback."
    if not wrong:
        return f"None of the newest {judged:,} judged replies is wrong."
    first = groups[0]
    return (
        f"{wrong:,} of the newest {judged:,} judged replies are wrong, in {len(groups)} group{'s' * (len(groups) > 1)};"
        f" the largest: {first.name} ({len(first.replies):,})."
    )
