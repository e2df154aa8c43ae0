"""The reason for a learning cycle: enough new mistakes, drift, or another model under the weak model's name.

A mistake is new if its feedback came after the last cycle began. Clients, shadows and outcomes all count where they
report a wrong reply. An outcome knows no right answer: such a mistake teaches, but measures nothing. Runs no cycle and
writes nothing.
"""

import math
from collections.abc import Collection, Sequence
from typing import Literal

from gateway.domain import CycleRecord, Value
from gateway.errors import PreceptorError
from gateway.settings import Grader, Task
from gateway.store.base import Graded
from gateway.store.notes import DriftNotice, Note
from optimizer.dataset.graded_exchanges import correctness
from optimizer.dataset.items import Examples, item_of_request
from optimizer.grading.graders import Submission, grader_for

Reason = Literal["mistakes", "drift", "a new model"]


class UpstreamModel(Value, frozen=True):
    """The upstream's model under the weak model's name, as the scheduler noted it."""

    model: str
    since: float
    """Seconds since the epoch of the first sight; earlier replies may be another model's."""


SERVED = Note("served", UpstreamModel)


class LearningTrigger(Value, frozen=True):
    """A possible cycle: its reason and its condition."""

    reason: Reason
    since: float
    """Seconds since the epoch: later feedback is new."""
    needed: int
    """New mistakes that the cycle needs."""


def trigger_for(
    last: CycleRecord | None, *, now: float, min_mistakes: int, drifted: float | None, new_model: bool
) -> LearningTrigger:
    """Return the condition of the next cycle. ``drifted`` is the time of the noticed drift; times are in seconds since
    the epoch.

    Drift newer than the last cycle asks for half of the mistakes, because fewer right answers are evidence in
    themselves. A new model asks for none, because rules are proven on one model only. A last cycle in the future came
    from a clock that has been put back: then all feedback is new.
    """
    since = last.started if last is not None and last.started <= now else 0.0
    if new_model:
        return LearningTrigger(reason="a new model", since=since, needed=0)
    if drifted is not None and drifted > since:
        return LearningTrigger(reason="drift", since=since, needed=math.ceil(min_mistakes / 2))
    return LearningTrigger(reason="mistakes", since=since, needed=min_mistakes)


def served_now(noted: UpstreamModel | None, model: str, now: float) -> tuple[UpstreamModel, bool]:
    """Return the model under the name now, and if it is new there. A model without a note has always been there."""
    known = noted if noted is not None else UpstreamModel(model=model, since=0.0)
    return (known, False) if known.model == model else (UpstreamModel(model=model, since=now), True)


def drift_time(drift: DriftNotice | None, version: int | None) -> float | None:
    """Return the time of the live ``version``'s noticed drift, in seconds since the epoch; ``None`` without drift."""
    return drift.time if drift is not None and drift.version == version else None


def is_incumbents(entry: Graded, section: Task, version: int | None, served: UpstreamModel) -> bool:
    """Decide whether a reply is the incumbent's: today's weak model under the live version."""
    exchange = entry.exchange
    return exchange.model == section.weak and exchange.rules == version and exchange.created >= served.since


def may_be_wrong(entry: Graded) -> bool:
    """Decide whether feedback allows for a wrong reply; costs nothing, no grader is asked."""
    return correctness(entry.feedback) is False or entry.feedback.expected is not None


def items_of(graded: Sequence[Graded]) -> dict[str, str]:
    """Return the item id of each exchange, by the exchange's id; exchanges without an item are left out."""
    ids = {}
    for entry in graded:
        try:
            ids[entry.exchange.id] = item_of_request(entry.exchange.request).id
        except PreceptorError:
            continue
    return ids


def mistakes_in(examples: Examples, among: Collection[str]) -> int:
    """Questions of these ids to which the incumbent's reply was wrong."""
    unlabelled = {item_of_request(mistake.request).id for mistake in examples.mistakes}
    return sum(not seen.correct for key, seen in examples.seen.items() if key in among) + len(unlabelled & set(among))


def suspects(graded: Sequence[Graded], grader: Grader) -> int:
    """Count replies that differ from the client's expected answer and have no verdict.

    For graders that need a model: the cycle asks the judge.
    """
    if grader_for(grader).grades_records:
        return 0
    return sum(
        correctness(entry.feedback) is None and entry.feedback.expected is not None and _differs(entry, grader)
        for entry in graded
    )


def _differs(entry: Graded, grader: Grader) -> bool:
    submission = Submission(text=entry.exchange.reply or "", tool_calls=entry.exchange.tool_calls)
    try:
        return grader_for(grader).obvious(submission, entry.feedback.expected) is not True
    except PreceptorError:
        return False
