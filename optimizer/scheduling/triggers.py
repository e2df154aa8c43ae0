"""Whether a task has something to learn: enough new mistakes, drift, or another model under the weak one's name.

A mistake is new if its feedback came after the last cycle began; clients, shadows and outcomes all count where they say
wrong. An outcome knows no right answer, so from such a mistake rules are learnt, but nothing is measured on it. Runs no
cycle and writes nothing.
"""

import math
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from gateway.domain import CycleRecord, Value
from gateway.errors import PreceptorError
from gateway.settings import Grader, Task
from gateway.store.base import Graded
from optimizer.dataset.items import Examples, correctness, item_of_request
from optimizer.grading.graders import Submission, grader_for

Reason = Literal["mistakes", "drift", "a new model"]


class UpstreamModel(Value, frozen=True):
    """The upstream's model that stands under the weak model's name, as the scheduler noted it."""

    model: str
    since: float
    """Seconds since the epoch when it was first seen there; earlier replies may be another model's."""


class _Drift(Value, frozen=True):
    time: float
    version: int | None


class LearningTrigger(Value, frozen=True):
    """Why a cycle would begin, and what it needs for that."""

    reason: Reason
    since: float
    """Seconds since the epoch: feedback after it is new."""
    needed: int
    """New mistakes without which it does not begin."""


def occasion(
    last: CycleRecord | None, *, now: float, min_mistakes: int, drifted: float | None, new_model: bool
) -> LearningTrigger:
    """What the next cycle waits for. ``drifted`` is when drift was noticed; times are in seconds since the epoch.

    Drift that is newer than the last cycle asks for half of the mistakes, because fewer right answers are evidence in
    themselves; a new model for none, because rules that were found on one model are proven on that model only. A last
    cycle that lies in the future was dated by a clock that has been put back: then all feedback is new.
    """
    since = last.started if last is not None and last.started <= now else 0.0
    if new_model:
        return LearningTrigger(reason="a new model", since=since, needed=0)
    if drifted is not None and drifted > since:
        return LearningTrigger(reason="drift", since=since, needed=math.ceil(min_mistakes / 2))
    return LearningTrigger(reason="mistakes", since=since, needed=min_mistakes)


def served_now(noted: bytes | None, model: str, now: float) -> tuple[UpstreamModel, bool]:
    """What stands under the name now, and whether it is new there. What nobody noted has always been there."""
    always = UpstreamModel(model=model, since=0.0)
    try:
        known = msgspec.json.decode(noted, type=UpstreamModel) if noted is not None else always
    except msgspec.DecodeError:
        known = always
    return (known, False) if known.model == model else (UpstreamModel(model=model, since=now), True)


def drift_in(noted: bytes | None, version: int | None) -> float | None:
    """When the live ``version`` was noticed to drift, in seconds since the epoch; ``None`` if it was not."""
    try:
        drift = msgspec.json.decode(noted, type=_Drift) if noted is not None else None
    except msgspec.DecodeError:
        return None
    return drift.time if drift is not None and drift.version == version else None


def own(one: Graded, section: Task, version: int | None, served: UpstreamModel) -> bool:
    """Whether a reply is the incumbent's: the weak model's that stands there now, under the version that is live."""
    exchange = one.exchange
    return exchange.model == section.weak and exchange.rules == version and exchange.created >= served.since


def may_be_wrong(one: Graded) -> bool:
    """Whether feedback leaves it open that a reply was wrong; costs nothing, no grader is asked."""
    return correctness(one) is False or one.feedback.expected is not None


def items_of(graded: Sequence[Graded]) -> dict[str, str]:
    """The id of the item that each exchange is about, by the exchange's id; what is no item is left out."""
    found = {}
    for one in graded:
        try:
            found[one.exchange.id] = item_of_request(one.exchange.request).id
        except PreceptorError:
            continue
    return found


def mistakes_in(examples: Examples, among: Collection[str]) -> int:
    """Questions of these ids to which the incumbent's reply was wrong."""
    unlabelled = {item_of_request(mistake.request).id for mistake in examples.mistakes}
    return sum(not seen.correct for key, seen in examples.seen.items() if key in among) + len(unlabelled & set(among))


def suspects(graded: Sequence[Graded], grader: Grader) -> int:
    """Replies beside which a client put an expected answer and no verdict, and that are not that answer.

    For graders that do not grade records: what they come to is found out in the cycle, where a judge can be asked.
    """
    if grader_for(grader).grades_records:
        return 0
    return sum(
        correctness(one) is None and one.feedback.expected is not None and _differs(one, grader) for one in graded
    )


def _differs(one: Graded, grader: Grader) -> bool:
    submission = Submission(text=one.exchange.reply or "", tool_calls=one.exchange.tool_calls)
    try:
        return grader_for(grader).obvious(submission, one.feedback.expected) is not True
    except PreceptorError:
        return False
