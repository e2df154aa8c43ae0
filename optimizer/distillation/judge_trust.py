"""May a judge decide? Its calibration against people's labels is checked before anything goes live by its word.

A judge with a failed calibration decides nothing. One without a calibration may grade, but its candidates wait for a
person. People's verdicts in the log calibrate a judge by themselves, as soon as there are enough of either kind.
"""

import asyncio
import hashlib
from typing import Literal

import msgspec

from gateway.domain import Value
from gateway.errors import ConfigurationError
from gateway.settings import Grader
from gateway.settings.graders import JudgeGrader
from gateway.store.base import Store
from gateway.store.notes import Note
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.evaluation.judge_calibration import LEAST_EACH, Calibration, RatedReply, calibrate, ratings_from
from optimizer.prompts import PromptFolder

MOST_RATED = 200
"""Rated replies of the log for a calibration: about 400 calls."""
_MORE = 1.5
"""Times as many rated replies as at the last calibration, after which a failed judge is calibrated again."""


class JudgeNote(Value, frozen=True):
    """The last calibration of a task's judge."""

    judge: str
    """A digest of model, criteria and question: another judge has to be calibrated anew."""
    trusted: bool
    n: int
    note: str
    at: float
    """Seconds since the epoch."""


CALIBRATED = Note("judge", JudgeNote)

Permission = Literal["decides", "waits", "never"]
"""``waits``: a candidate past the gate waits for a person."""


class JudgeTrust(Value, frozen=True):
    """The permission of a grader, and the reason for a doubt."""

    permission: Permission = "decides"
    why: str = ""


async def judge_trust(
    store: Store,
    task: str,
    grader: Grader,
    *,
    evaluator: Evaluator,
    judge: ModelClient | None,
    items: int,
    now: float,
) -> JudgeTrust:
    """Return the permission of a task's grader; ``judge`` is its model. Every grader but a judge decides.

    Calibrates the judge by the log's ratings if that was not done. Raises the errors of ``calibrate`` and
    ``StoreError``.
    """
    if not isinstance(grader, JudgeGrader) or judge is None:
        return JudgeTrust()
    digest = judge_digest(grader, judge)
    noted = await asyncio.to_thread(CALIBRATED.read, store, task)
    known = noted if noted is not None and noted.judge == digest else None
    if known is not None and known.trusted:
        return JudgeTrust()
    rated = await asyncio.to_thread(_rated, store, task, grader)
    right = sum(rating.correct for rating in rated)
    enough = min(right, len(rated) - right) >= LEAST_EACH
    if enough and (known is None or len(rated) > _MORE * known.n):
        calibration = await calibrate(evaluator, grader, rated, items=items)
        known = await asyncio.to_thread(keep, store, task, digest, calibration, now)
    if known is not None and known.trusted:
        return JudgeTrust()
    if known is not None:
        return JudgeTrust(permission="never", why=f"the judge may not decide: {known.note}")
    return JudgeTrust(
        permission="waits",
        why=f"the judge was never held against people's verdicts: the log holds {right} right and {len(rated) - right}"
        f" wrong replies, {LEAST_EACH} of each are needed (or 'preceptor eval {task} --data labels.jsonl --calibrate')",
    )


def keep(store: Store, task: str, judge: str, calibration: Calibration, now: float) -> JudgeNote:
    """Note a calibration. Blocks; raises ``StoreError``."""
    noted = JudgeNote(judge=judge, trusted=calibration.trusted, n=calibration.n, note=calibration.note, at=now)
    CALIBRATED.write(store, noted, task)
    return noted


def judge_digest(grader: JudgeGrader, judge: ModelClient) -> str:
    """Return a digest of model, criteria and question of a judge."""
    try:
        question = PromptFolder(folder=grader.prompts_dir).load("judge").text
    except ConfigurationError:
        question = ""
    return hashlib.sha256(msgspec.json.encode([judge.identity, grader.criteria, question])).hexdigest()[:16]


def _rated(store: Store, task: str, grader: JudgeGrader) -> tuple[RatedReply, ...]:
    return ratings_from(store.graded(task, limit=MOST_RATED), grader).rated
