"""Grades the expected answers of new feedback: the task's grader compares each with the recorded reply.

Feedback such as ``{"id": ..., "expected": 42}`` says nothing about the reply until then. The verdict is stored beside
the feedback; roll-outs, drift and the hold-back read it there. Each judgement is graded once. A grader without an
answer (it fails, takes longer than ``SLOW_S``, or brings its process down twice) leaves "no verdict". An unreachable
judge leaves the judgement for a later tick, for ``PATIENCE_S`` at most.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from gateway.context import LearnerContext
from gateway.domain import Exchange
from gateway.errors import PreceptorError, StoreError
from gateway.settings import Task
from gateway.store.base import Graded
from gateway.store.notes import Note
from optimizer.dataset.items import item_of_request
from optimizer.evaluation.evaluator import Evaluator
from optimizer.grading.graders import GraderFailed, Submission, Ungradable, grader_for

BATCH = 20
"""Judgements that are graded between two notes of the work under way."""
WAITING = 500
"""Oldest judgements without a verdict that a tick looks at."""
SLOW_S = 60.0
"""Seconds after which a grading is given up."""
PATIENCE_S = 6 * 3600.0
"""Seconds for which a judgement waits for a judge that cannot be reached."""
_STRIKES = 2
"""Ends of the process during the grading of a judgement after which it is graded no more."""
UNDER_WAY = Note("sweep/grading", dict[str, int])
"""Exchange id -> number of processes that began to grade a judgement of it and did not end."""

log = logging.getLogger(__name__)


class Verdicts:
    """The grading of one process."""

    def __init__(self, context: LearnerContext, *, evaluator: Callable[[], Evaluator], slow_s: float = SLOW_S) -> None:
        """``evaluator`` makes an evaluator with a fresh budget; judges are asked through it."""
        self._context = context
        self._evaluator = evaluator
        self._slow_s = slow_s
        self._strikes: Mapping[str, int] | None = None
        """Left by earlier processes; ``None`` before the first tick."""

    async def work(self) -> None:
        """Grade the judgements without a verdict. Raises ``StoreError``, and the error of a judge after the rest."""
        store = self._context.store
        waiting = await asyncio.to_thread(store.ungraded, limit=WAITING)
        if self._strikes is None:
            self._strikes = await asyncio.to_thread(UNDER_WAY.read, store) or {}
        if not waiting:
            return
        evaluator, failures = self._evaluator(), dict[str, PreceptorError]()
        suspects = [entry for entry in waiting if entry.exchange.id in self._strikes]
        others = [entry for entry in waiting if entry.exchange.id not in self._strikes]
        batches = [[entry] for entry in suspects] + [others[at : at + BATCH] for at in range(0, len(others), BATCH)]
        for batch in batches:
            await self._grade(batch, evaluator, failures)
        for error in failures.values():
            raise error

    async def _grade(self, batch: Sequence[Graded], evaluator: Evaluator, failures: dict[str, PreceptorError]) -> None:
        """Grade a batch; adds to ``failures``, by task. A task that has failed is left for a later tick."""
        store, strikes = self._context.store, self._strikes or {}
        begun = {entry.exchange.id: strikes.get(entry.exchange.id, 0) + 1 for entry in batch}
        await asyncio.to_thread(UNDER_WAY.write, store, {**strikes, **begun})
        for entry in batch:
            task = entry.exchange.task or ""
            if task in failures:
                continue
            try:
                verdict = await self._verdict(entry, begun[entry.exchange.id], evaluator)
            except StoreError:
                raise
            except PreceptorError as error:
                failures[task] = error
                if self._context.wall_clock() - entry.feedback.created < PATIENCE_S:
                    continue
                verdict = None
            await asyncio.to_thread(store.put_verdict, entry.feedback, verdict, at=self._context.wall_clock())
        self._strikes = {id_: count for id_, count in strikes.items() if id_ not in begun}
        await asyncio.to_thread(UNDER_WAY.write, store, self._strikes)

    async def _verdict(self, entry: Graded, strikes: int, evaluator: Evaluator) -> float | None:
        """Return the grader's verdict, ``None`` without one. Raises the error of a judge."""
        exchange = entry.exchange
        section = self._context.settings.tasks.get(exchange.task or "")
        fields = {"action": "verdict.none", "exchange": exchange.id, "task": exchange.task}
        if strikes > _STRIKES:
            log.error("grading %s ended the process %d times: it gets no verdict", exchange.id, _STRIKES, extra=fields)
            return None
        if section is None or exchange.status != "ok" or exchange.reply is None:
            return None
        if entry.feedback.is_correct is not None and not grader_for(section.grader).grades_records:
            return None  # a contradiction is not worth a judge's call
        try:
            async with asyncio.timeout(self._slow_s):
                return await _score(section, exchange, entry, evaluator)
        except (GraderFailed, Ungradable) as error:
            log.info("no verdict on %s: %s", exchange.id, error.for_log(), extra=fields)
        except TimeoutError:
            log.warning("no verdict on %s: the grader took over %g s", exchange.id, self._slow_s, extra=fields)
        except PreceptorError:
            raise
        except Exception:
            log.exception("no verdict on %s", exchange.id, extra={**fields, "action": "verdict.bug"})
        return None


async def _score(section: Task, exchange: Exchange, entry: Graded, evaluator: Evaluator) -> float:
    try:
        request = item_of_request(exchange.request).request
    except PreceptorError:
        request = b"{}"  # only judges read it
    submission = Submission(text=exchange.reply or "", tool_calls=exchange.tool_calls, request=request)
    grade = await grader_for(section.grader).decide(submission, entry.feedback.expected, evaluator.ask_judge)
    return grade.score
