"""Examples from the traffic: graded exchanges as items, recorded replies and mistakes."""

from collections.abc import Sequence

import msgspec

from gateway.domain import Exchange, Feedback
from gateway.errors import PreceptorError
from gateway.settings import Grader
from gateway.store.base import Graded
from optimizer.dataset.clusters import with_clusters
from optimizer.dataset.items import Examples, Item, Mistake, RecordedReply, item_of_request, reconciled
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.remarks import SILENCE, comment_of, remark
from optimizer.dataset.sampling import conversation_names
from optimizer.grading.graders import GraderFailed, ReplyGrader, Submission, Ungradable, grader_for


def examples_from(graded: Sequence[Graded], section: Grader, *, model: str, rules: int | None) -> Examples:
    """Return the examples behind graded exchanges, newest first.

    The expected answer is the feedback's, or the label of a reply that the feedback calls right. A reply counts as the
    incumbent's own if ``model`` gave it under the version ``rules``.
    """
    grader = grader_for(section)
    sources: list[tuple[str, Item]] = []
    complaints: list[str] = []
    seen: dict[str, RecordedReply] = {}
    mistakes: list[Mistake] = []
    usable = [pair for pair in graded if pair.exchange.reply is not None]
    requests = [read_request(pair.exchange.request) for pair in usable]
    for pair, request, conversation in zip(usable, requests, conversation_names(requests), strict=True):
        exchange, feedback = pair.exchange, pair.feedback
        correct, own = correctness(feedback), exchange.model == model and exchange.rules == rules
        try:
            if feedback.expected is None and correct is not True:
                if correct is False and own:
                    asked = item_of_request(exchange.request)
                    note = remark(comment=comment_of(feedback))
                    mistakes.append(Mistake(request=asked.request, reply=exchange.reply or "", remark=note))
                continue
            item = item_of_request(exchange.request, feedback.expected)
            if feedback.expected is None:
                item = msgspec.structs.replace(item, expected=grader.label(submission_of(exchange, item)))
            item = msgspec.structs.replace(
                item,
                labelled_by=(feedback.labeller or feedback.comment or "") if feedback.source == "shadow" else "",
                labellers=(labeller_of(feedback), *_agreeing(grader, item, pair)),
                cluster=conversation,
                audit_rate=exchange.audit_rate,
                key=exchange.key,
                tenant=request.tenant,
            )
            right, words = _is_right(grader, item, exchange, correct)
        except PreceptorError as error:
            complaints.append(f"exchange {exchange.id}: {error}")
            continue
        sources.append((f"exchange {exchange.id}", item))
        if own and right is not None:
            note = SILENCE if right else remark(comment=comment_of(feedback), check=words)
            seen.setdefault(item.id, RecordedReply(reply=exchange.reply or "", correct=right, remark=note))
    items = with_clusters(reconciled(sources, complaints, section))
    kept = {item.id for item in items}
    return Examples(
        items=items,
        seen={key: reply for key, reply in seen.items() if key in kept},
        mistakes=tuple(mistakes),
        complaints=tuple(complaints),
    )


def correctness(feedback: Feedback) -> bool | None:
    """Return a client's judgement; ``None`` without pair, and for a score between wrong (0) and right (1)."""
    if feedback.correct is not None or feedback.score is None:
        return feedback.correct
    return {0.0: False, 1.0: True}.get(feedback.score)


def labeller_of(feedback: Feedback) -> str:
    """Return the name of the person, model or key behind a judgement."""
    if feedback.source == "shadow":
        return feedback.labeller or feedback.comment or "shadow"
    return feedback.labeller or (f"key {feedback.key}" if feedback.key else feedback.source)


def _agreeing(grader: ReplyGrader, item: Item, pair: Graded) -> list[str]:
    """The names of others with a compatible answer to the same exchange: two of them make a solved example."""
    names = []
    for other in pair.others:
        try:
            if other.expected is not None and not grader.contradict(item.expected, other.expected):
                names.append(labeller_of(other))
        except Ungradable:
            continue
    own = labeller_of(pair.feedback)
    return [name for name in dict.fromkeys(names) if name != own]


def submission_of(exchange: Exchange, item: Item) -> Submission:
    """Return a recorded reply to grade."""
    return Submission(text=exchange.reply or "", tool_calls=exchange.tool_calls, request=item.request)


def _is_right(grader: ReplyGrader, item: Item, exchange: Exchange, correct: bool | None) -> tuple[bool | None, str]:
    """Decide by the grader or, where it cannot, by the client's judgement whether a recorded reply is right.

    The grader's words stand behind it. ``None`` without either. Raises
    ``Ungradable`` for an expected answer that fits no reply.
    """
    grader.examine(item.expected)
    if not grader.grades_records:
        return correct, ""
    try:
        grade = grader.assess(submission_of(exchange, item), item.expected)
    except GraderFailed:
        return correct, ""
    return grade.score == 1.0, grade.remark
