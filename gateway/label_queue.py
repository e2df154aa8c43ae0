"""The label queue: audited exchanges without a right answer from people, in random order. Pure.

Exchanges come into the audit sample before their outcome is known. Some are labelled unasked (a client's feedback):
those may be chosen by their outcome. The others wait in this queue. Its order is a hash of the exchange's id, so that
the labelled part of the queue is a random part of it, however early a person stops: it stands for the part that still
waits. A reply called wrong waits on for the right answer: the verdict tells of this reply, and of no other.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gateway.domain import Feedback, Source, Value
from gateway.store.base import Audited

QUEUE = "queue"
"""Labeller of a judgement from the queue without a name."""
QUEUE_S = 30 * 86400.0
"""Seconds for which an exchange waits in the queue."""
PEOPLE: tuple[Source, ...] = ("label", "client")
"""Sources of people's judgements, the highest precedence first."""


class LabelSummary(Value, frozen=True):
    """The labels of an audit sample. Shares are 0..1."""

    audited: int
    """Exchanges in the sample."""
    failed: int
    """Exchanges without a whole reply: nothing to judge."""
    unasked: int
    """Exchanges with a client's feedback, which may be chosen by its outcome."""
    answered: int
    """Exchanges from the queue with a person's label."""
    waiting: int
    """Exchanges in the queue."""
    judged_only: int
    """Of them, those with a judgement of the reply, but without the right answer."""
    right_unasked: int
    right_answered: int
    contradictions: int
    """Exchanges with judgements that exclude each other."""
    labellers: Mapping[str, int]
    """Judgements by labeller (a person, a key, a model), the most frequent first."""

    @property
    def right(self) -> float | None:
        """The estimated share of right replies; the waiting part counts like the answered part of the queue.

        ``None`` while that part has no label.
        """
        if (self._unjudged and not self.answered) or not self.unasked + self.answered:
            return None
        queue = self.answered + self._unjudged
        from_queue = queue * self.right_answered / self.answered if self.answered else 0.0
        return (self.right_unasked + from_queue) / (self.unasked + queue)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of ``right``: only the waiting part is uncertain."""
        if self.right is None:
            return None
        queue, n = self.answered + self._unjudged, self.answered
        if not self._unjudged:
            return self.right, self.right
        share = (self.right_answered + 2) / (n + 4)  # two successes and two failures more (Agresti & Coull 1998)
        spread = 1.96 * math.sqrt(share * (1 - share) / (n + 4) * (1 - n / queue)) * queue / (self.unasked + queue)
        middle = (self.right_unasked + queue * share) / (self.unasked + queue)
        return max(0.0, middle - spread), min(1.0, middle + spread)

    @property
    def _unjudged(self) -> int:
        return self.waiting - self.judged_only


def waiting(audited: Sequence[Audited]) -> list[Audited]:
    """Return the exchanges that wait for a label, in the order of the queue.

    Those for which the queue was told no more than *wrong* come last: somebody looked, and knew no answer.
    """
    queue = [entry for entry in audited if _can_be_judged(entry) and answer_in(entry.feedback, PEOPLE) is None]
    return sorted(queue, key=lambda entry: (any(known.source == "label" for known in entry.feedback), place_of(entry)))


def answer_in(judgements: Iterable[Feedback], sources: Sequence[Source]) -> Feedback | None:
    """Return the judgement that names the right answer, of the first source with one; of a source the newest counts.

    An answer is an expected one, or the reply itself called right by a person. A later source cannot call a reply right
    that an earlier one calls wrong, and a judgement that contradicts itself names nothing.
    """
    newest: dict[Source, Feedback] = {}
    for judgement in sorted(judgements, key=lambda judgement: judgement.created):
        if _says(judgement) or judgement.expected is not None:
            newest[judgement.source] = judgement
    called_wrong = False
    for source in sources:
        latest = newest.get(source)
        if latest is None or latest.is_contradictory:
            continue
        right = latest.is_correct is True
        names = latest.expected is not None or (source in PEOPLE and latest.correct is True)
        if names and not (right and called_wrong):
            return latest
        called_wrong = called_wrong or not right
    return None


def summarize(audited: Sequence[Audited]) -> LabelSummary:
    """Count the labels of an audit sample."""
    judged = [(entry, _labels(entry)) for entry in audited if _can_be_judged(entry)]
    queue = waiting(audited)
    unasked = [labels for _, labels in judged if labels and labels[0].source == "client"]
    answered = [labels for _, labels in judged if labels and labels[0].source == "label"]
    labellers = Counter(_labeller(feedback) for entry in audited for feedback in entry.feedback if _says(feedback))
    return LabelSummary(
        audited=len(audited),
        failed=len(audited) - len(judged),
        unasked=len(unasked),
        answered=len(answered),
        waiting=len(queue),
        judged_only=sum(bool(_labels(entry)) for entry in queue),
        right_unasked=sum(map(_is_right, unasked)),
        right_answered=sum(map(_is_right, answered)),
        contradictions=sum(_contradict(entry.feedback) for entry in audited),
        labellers=dict(labellers.most_common()),
    )


def describe(labels: LabelSummary, task: str) -> list[str]:
    """Return the summary in a few lines for people."""
    if not labels.audited:
        return ["no request is in the audit sample yet"]
    judged = labels.unasked + labels.answered
    counts = f"{labels.unasked:,} unasked, {labels.answered:,} from the queue"
    lines = [
        f"{labels.audited:,} requests in the audit sample, {judged:,} labelled ({counts}), {labels.waiting:,} waiting"
    ]
    if labels.judged_only:
        lines.append(
            f"{labels.judged_only:,} replies are called wrong without the right answer: that tells of this reply only,"
            " and confirms no other"
        )
    if labels.right is not None and labels.interval is not None:
        low, high = labels.interval
        sure = f" (95%: {low:.0%} to {high:.0%})" if high > low else ""
        lines.append(f"right replies: {labels.right:.0%}{sure}")
    elif labels.waiting:
        known = "labels that came unasked may be chosen by their outcome, so " if labels.unasked else ""
        lines.append(
            f"{known}the share of right replies is not known: label {min(labels.waiting, 40)} requests with"
            f" 'preceptor label {task}'"
        )
    if labels.labellers:
        lines.append("labelled by " + ", ".join(f"{name} ({count:,})" for name, count in labels.labellers.items()))
    if labels.contradictions:
        lines.append(f"{labels.contradictions:,} requests have labels that contradict each other; all are kept")
    return lines


def _can_be_judged(entry: Audited) -> bool:
    return entry.exchange.status == "ok" and (entry.exchange.reply is not None or bool(entry.exchange.tool_calls))


def place_of(entry: Audited) -> bytes:
    """Return the place in the queue: it depends on the exchange's unguessable id alone, so on no outcome."""
    return hashlib.blake2b(entry.exchange.id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"labels").digest()


def _labels(entry: Audited) -> list[Feedback]:
    """Return the judgements of people, oldest first. The first one tells how the exchange came to be judged."""
    return [feedback for feedback in entry.feedback if feedback.source in ("client", "label") and _says(feedback)]


def _says(feedback: Feedback) -> bool:
    return feedback.is_correct is not None


def _is_right(labels: Sequence[Feedback]) -> bool:
    """Decide by the label of highest precedence: one from the queue, and then the newest."""
    counting = [label for label in labels if label.source == "label"] or labels
    return counting[-1].is_correct is True


def _contradict(judgements: Sequence[Feedback]) -> bool:
    verdicts = {feedback.is_correct for feedback in judgements if _says(feedback)}
    return len(verdicts) > 1 or any(feedback.is_contradictory for feedback in judgements)


def _labeller(feedback: Feedback) -> str:
    if feedback.labeller:
        return feedback.labeller
    if feedback.source == "shadow":
        return feedback.comment or "the other model"
    return (
        f"key {feedback.key}" if feedback.key else {"label": QUEUE, "outcome": "signs"}.get(feedback.source, "client")
    )
