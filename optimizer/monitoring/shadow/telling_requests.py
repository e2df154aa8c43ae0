"""Looks for telling requests: both versions of a comparison answer new requests, and those they differ on go to people.

Only while somebody works on the label queue, on requests outside of the audit sample, with half of the day's calls at
most: the other half is for labels. The grader must compare two replies by itself. ``telling`` keeps the book. Asks
nobody for a label.
"""

import asyncio

import msgspec

from gateway.context import LearnerContext
from gateway.errors import PreceptorError
from gateway.settings import Task
from gateway.store.base import Observed
from optimizer.grading.graders import grader_for
from optimizer.monitoring.rollout.comparison import unit_of
from optimizer.monitoring.shadow.both_versions import BothVersions, Contest, NoCapacityError, are_equal
from optimizer.monitoring.shadow.pair import is_about_the_request, question
from optimizer.monitoring.shadow.shadows import TOO_OLD_S
from optimizer.monitoring.shadow.telling import TellingBook

BATCH = 50
"""Requests of a task that a tick looks at, the oldest new ones first."""
_ROWS = 1000
_ARMS = ("weak", "canary", "holdback")


class TellingRequests:
    """The search of one process."""

    def __init__(self, context: LearnerContext, versions: BothVersions) -> None:
        self._context, self._versions = context, versions

    async def looked(self, task: str, section: Task, contest: Contest, book: TellingBook) -> TellingBook:
        """Return the book after a look at the new requests. Raises ``StoreError`` and the error of a model."""
        now = self._context.wall_clock()
        book = book.begun(contest.name, now)
        grader = grader_for(section.grader)
        if not book.expects_people(now) or not grader.can_label or grader.is_judged:
            return book
        since = max(book.until, now - TOO_OLD_S)
        rows = await asyncio.to_thread(self._context.store.observed, task, since=since, limit=_ROWS)
        for row in [row for row in rows if row.created > since and _is_usable(row, section)][:BATCH]:
            if not book.is_new(unit_of(row)):
                continue
            try:
                equal = await self._equal(task, section, contest, row)
            except NoCapacityError:
                break
            book = book.looked_at(row.id, unit_of(row), equal=equal)
            book = msgspec.structs.replace(book, until=row.created)
        return book

    async def _equal(self, task: str, section: Task, contest: Contest, row: Observed) -> bool | None:
        """Decide whether both versions give the same answer; ``None`` if nobody can say."""
        exchange = await asyncio.to_thread(self._context.store.exchange, row.id)
        item = question(exchange) if exchange is not None else None
        if item is None:
            return None
        try:
            spare = section.shadow.calls_per_day // 2
            answers = await self._versions.ask(task, section, contest, item, spare=spare)
            if answers is None:
                return True
            return await are_equal(self._versions.evaluator(), section.grader, item, *answers)
        except PreceptorError as error:
            if is_about_the_request(error):
                return None
            raise


def _is_usable(row: Observed, section: Task) -> bool:
    return row.audit_rate == 0 and row.status == "ok" and row.arm in _ARMS and row.model == section.weak
