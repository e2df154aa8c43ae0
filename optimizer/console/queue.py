"""The label queue: one audited reply at a time, model and rules hidden, answered with a key."""

from collections.abc import Sequence

from gateway.domain import Feedback, Value
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.label_queue import LabelSummary, summarize, waiting
from gateway.store.base import Audited
from optimizer.console.asking import Ask, Page, Redirect, address
from optimizer.dataset.recorded_request import INSTRUCTION_ROLES, RecordedTurn, read_request
from optimizer.grading.graders import Ungradable
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
    telling: bool
    """Two versions answer it differently."""


def label_queue(ask: Ask) -> Page:
    """Show the next reply that waits, behind the skipped ones."""
    return _page(ask)


def give_label(ask: Ask) -> Page | Redirect:
    """Store a label and go on to the next reply; a second person's label is refused with the first one's name."""
    task, section = ask.task()
    exchange_id, verdict = ask.form.get("id", ""), ask.form.get("verdict", "")
    exchange = ask.store.exchange(exchange_id)
    if exchange is None or exchange.task != task:
        raise NotFound("This reply is gone meanwhile: no label is stored.")
    text = ask.form.get("expected", "").strip()
    if verdict not in ("right", "wrong", "answer"):
        raise BadRequest("Choose right, wrong, or give the right answer.")
    expected = None
    if verdict == "answer":
        if not text:
            return _page(ask, problem="Type the right answer first.", typed=text)
        try:
            expected = typed_answer(section.grader, text)
        except Ungradable as error:
            return _page(ask, problem=str(error), typed=text)
    labels = _labels(ask, task, exchange_id)
    if ask.sent("seen") != len(labels):
        newest = labels[-1]
        who, what = newest.labeller or "Somebody", "right" if newest.is_correct else "wrong"
        raise Conflict(f"{who} labelled this reply as {what} meanwhile. Yours was not stored: go on with the next.")
    correct = None if verdict == "answer" else verdict == "right"
    label = Feedback(
        exchange_id=exchange_id, created=ask.now, correct=False if verdict == "answer" else correct, expected=expected,
        source="label", labeller=ask.visitor.name,
    )  # fmt: skip
    if not ask.store.add_feedback(label):
        raise NotFound("This reply is gone meanwhile: no label is stored.")
    skip = ask.sent("skip") or 0
    return Redirect(to=address("tasks", task, "labels") + f"?done={verdict}" + (f"&skip={skip}" if skip else ""))


def _page(ask: Ask, problem: str = "", typed: str = "") -> Page:
    task, section = ask.task()
    audited = ask.store.audited(task, since=ask.now - _DAYS_S, limit=_MOST, max_bytes=_BYTES)
    book = TELLING.read(ask.store, task) or TellingBook()
    known = [Audited(exchange=exchange) for exchange in map(ask.store.exchange, book.waiting) if exchange is not None]
    telling = {entry.exchange.id for entry in known}
    queue = telling_first(known, waiting(audited))
    skip = min(ask.whole("skip", 0) or ask.sent("skip") or 0, max(0, len(queue) - 1))
    item = _item(ask, task, queue[skip], telling) if queue else None
    values = {
        "task": task, "section": section, "item": item, "waiting": len(queue), "skip": skip,
        "summary": summarize(audited), "problem": problem, "typed": typed, "done": ask.query.get("done", ""),
        "lead": _lead(summarize(audited), len(queue)),
    }  # fmt: skip
    return Page(template="queue.html", values=values, status=400 if problem else 200)


def _item(ask: Ask, task: str, entry: Audited, telling: set[str]) -> QueueItem:
    request, exchange = read_request(entry.exchange.request), entry.exchange
    return QueueItem(
        id=exchange.id,
        created=exchange.created,
        instructions=request.instructions,
        turns=tuple(turn for turn in request.turns if turn.role not in INSTRUCTION_ROLES),
        reply=exchange.reply or "",
        calls=tuple(f"{call.name}({call.arguments})" for call in exchange.tool_calls),
        seen=len(_labels(ask, task, exchange.id)),
        telling=exchange.id in telling,
    )


def _labels(ask: Ask, task: str, exchange_id: str) -> Sequence[Feedback]:
    """Return the labels of people on an exchange, oldest first."""
    return [given for given in ask.store.feedback_on(exchange_id) if given.source == "label"]


def _lead(labels: LabelSummary, queue: int) -> str:
    if not labels.audited and not queue:
        return "No request is in the audit sample yet: requests are drawn into it at random as they are recorded."
    known = ""
    if labels.right is not None and labels.interval is not None:
        low, high = labels.interval
        known = f" So far {labels.right:.0%} of the replies are right ({low:.0%} to {high:.0%})."
    return f"{queue:,} replies wait, {labels.answered + labels.unasked:,} are labelled.{known}"
