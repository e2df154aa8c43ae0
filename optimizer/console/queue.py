"""The label queue: one audited reply at a time, model and rules hidden, answered with a key."""

from collections.abc import Sequence
from typing import Any

from gateway.domain import Exchange, Feedback, Value
from gateway.errors import BadRequest, Conflict, NotFound, PreceptorError
from gateway.label_queue import LabelSummary, summarize, waiting
from gateway.settings import Grader
from gateway.store.base import Audited
from optimizer.console.visit import Page, Redirect, Visit, address
from optimizer.dataset.recorded_request import INSTRUCTION_ROLES, RecordedTurn, read_request
from optimizer.grading.graders import Submission, Ungradable, grader_for, text_of
from optimizer.grading.graders.typed_answer import typed_answer
from optimizer.monitoring.shadow.telling import TELLING, TellingBook, telling_first

_DAYS_S = 30 * 86400.0
_MOST = 2000
"""Newest audited exchanges that are read."""
_BYTES = 16_000_000


class QueueItem(Value, frozen=True):
    """A reply that waits."""

    id: str
    created: float
    instructions: str
    turns: tuple[RecordedTurn, ...]
    reply: str
    calls: tuple[str, ...]
    seen: int
    """Judgements of it so far: another one meanwhile makes a second a surprise."""
    why: str
    """The reason for its place in the queue."""


def label_queue(visit: Visit) -> Page:
    """Show the next reply that waits, behind the skipped ones."""
    return _page(visit)


def give_label(visit: Visit) -> Page | Redirect:
    """Store a label, and go on to the next reply. A second person's label is refused, with the name of the first."""
    task, section = visit.task()
    exchange_id, verdict = visit.form.get("id", ""), visit.form.get("verdict", "")
    exchange = visit.store.exchange(exchange_id)
    if exchange is None or exchange.task != task:
        raise NotFound("This reply is gone meanwhile: no label is stored.")
    text = visit.form.get("expected", "").strip()
    if verdict not in ("right", "wrong", "answer"):
        raise BadRequest("Choose right, wrong, or give the right answer.")
    expected = None
    if verdict == "answer":
        if not text:
            return _page(visit, problem="Type the right answer first.", typed=text)
        try:
            expected = typed_answer(section.grader, text)
        except Ungradable as error:
            return _page(visit, problem=str(error), typed=text)
    labels = _labels(visit, task, exchange_id)
    if visit.sent("seen") != len(labels):
        newest = labels[-1]
        who, what = newest.labeller or "Somebody", "right" if newest.is_correct else "wrong"
        raise Conflict(f"{who} labelled this reply as {what} meanwhile. Yours was not stored: go on with the next.")
    is_right = verdict == "right" or (verdict == "answer" and is_the_reply(section.grader, exchange, expected))
    label = Feedback(
        exchange_id=exchange_id, created=visit.now, correct=is_right, expected=expected, source="label",
        labeller=visit.visitor.name,
    )  # fmt: skip
    if not visit.store.add_feedback(label):
        raise NotFound("This reply is gone meanwhile: no label is stored.")
    skip = visit.sent("skip") or 0
    return Redirect(to=address("tasks", task, "labels") + f"?done={verdict}" + (f"&skip={skip}" if skip else ""))


def is_the_reply(grader: Grader, exchange: Exchange, expected: Any) -> bool:
    """Decide whether a right answer is what the reply says already, as far as that can be told at once."""
    made = grader_for(grader)
    if made.is_slow or made.is_judged or not made.grades_records:
        return text_of(expected).strip() == (exchange.reply or "").strip()
    given = Submission(text=exchange.reply or "", tool_calls=exchange.tool_calls, request=exchange.request)
    try:
        return made.grade(given, expected) == 1.0
    except PreceptorError:
        return False


def _page(visit: Visit, problem: str = "", typed: str = "") -> Page:
    task, section = visit.task()
    audited = visit.store.audited(task, since=visit.now - _DAYS_S, limit=_MOST, max_bytes=_BYTES)
    book = TELLING.read(visit.store, task) or TellingBook()
    known = [Audited(exchange=exchange) for exchange in map(visit.store.exchange, book.waiting) if exchange is not None]
    telling = {entry.exchange.id for entry in known}
    queue = telling_first(known, waiting(audited))
    skip = min(visit.whole("skip", 0) or visit.sent("skip") or 0, max(0, len(queue) - 1))
    item = _item(visit, task, queue[skip], telling) if queue else None
    values = {
        "task": task, "section": section, "item": item, "waiting": len(queue), "skip": skip,
        "summary": summarize(audited), "problem": problem, "typed": typed, "done": visit.query.get("done", ""),
        "lead": _lead(summarize(audited), len(queue)),
    }  # fmt: skip
    return Page(template="queue.html", values=values, status=400 if problem else 200)


def _item(visit: Visit, task: str, entry: Audited, telling: set[str]) -> QueueItem:
    request, exchange = read_request(entry.exchange.request), entry.exchange
    return QueueItem(
        id=exchange.id,
        created=exchange.created,
        instructions=request.instructions,
        turns=tuple(turn for turn in request.turns if turn.role not in INSTRUCTION_ROLES),
        reply=exchange.reply or "",
        calls=tuple(f"{call.name}({call.arguments})" for call in exchange.tool_calls),
        seen=len(_labels(visit, task, exchange.id)),
        why=place_in_words(entry, telling),
    )


def place_in_words(entry: Audited, telling: set[str]) -> str:
    """Return the reason for a reply's place: ``telling`` ones come first, those called wrong last."""
    if entry.exchange.id in telling:
        return "two versions answer it differently: a label says most here"
    if any(known.source == "label" for known in entry.feedback):
        return "called wrong before: its right answer is missing"
    return "drawn at random"


def _labels(visit: Visit, task: str, exchange_id: str) -> Sequence[Feedback]:
    """Return the labels of people on an exchange, oldest first."""
    return [given for given in visit.store.feedback_on(exchange_id) if given.source == "label"]


def _lead(labels: LabelSummary, queue: int) -> str:
    if not labels.audited and not queue:
        return "No request is in the audit sample yet: requests are drawn into it at random as they are recorded."
    known = ""
    if labels.right is not None and labels.interval is not None:
        low, high = labels.interval
        known = f" So far {labels.right:.0%} of the replies are right ({low:.0%} to {high:.0%})."
    return f"{queue:,} replies wait, {labels.answered + labels.unasked:,} are labelled.{known}"
