"""Lets both versions of a comparison answer labelled requests anew, in the background, and grades both by the label.

Every judgement is looked at once, in the order of arrival: labels that were asked for whatever the outcome was, and
complaints on audited replies. Both answers are asked for in the same way, so neither version has the better chances.
Callers come first, as for shadows, and ``shadow.calls_per_day`` bounds the calls. A live version has half of them: a
trial, or a version that goes live on the same day, must not find them spent. Results go to ``PAIRS``.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from gateway.context import LearnerContext
from gateway.domain import Activation, RuleSet, Value
from gateway.errors import PreceptorError, StoreError
from gateway.settings import Task
from gateway.store.base import Judged
from gateway.store.history import active_decisions
from gateway.store.notes import Note
from optimizer.dataset.items import Item
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.grading.graders import Ungradable
from optimizer.monitoring.rollout.answer_pairs import PAIRS, AnswerPair, PairBook
from optimizer.monitoring.rollout.arms import AT_RANDOM, live_before
from optimizer.monitoring.rollout.comparison import unit_of
from optimizer.monitoring.rollout.power import DAY_S
from optimizer.monitoring.shadow.allowance import Account
from optimizer.monitoring.shadow.pair import injectable, is_about_the_request, question
from optimizer.monitoring.shadow.shadows import TOO_OLD_S
from optimizer.monitoring.shadow.spare_capacity import spare_capacity_of

BATCH = 50
"""Judgements of a task that a tick looks at."""
CALLS = Note("pairs/calls", Account)
"""The calls of the last day, by task."""

log = logging.getLogger(__name__)


class Contest(Value, frozen=True):
    """Two versions of a task to compare."""

    version: int
    rules: RuleSet
    against: int | None
    """``None``: no rules."""
    others: RuleSet | None
    trial: bool
    """The version is on trial; else it is live."""


class PairedAnswers:
    """The comparison of one process."""

    def __init__(
        self, context: LearnerContext, *, evaluator: Callable[[], Evaluator], model: Callable[[str], ModelClient]
    ) -> None:
        """``evaluator`` makes an evaluator with a fresh budget, ``model`` a configured model by name."""
        self._context, self._evaluator, self._model = context, evaluator, model

    async def work(self) -> None:
        """Look at the new judgements of every task. Raises ``StoreError``, and the error of a model after the rest."""
        failures = list[PreceptorError]()
        for task in self._context.settings.tasks:
            try:
                await self._compare(task)
            except StoreError:
                raise
            except PreceptorError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def _compare(self, task: str) -> None:
        store, section = self._context.store, self._context.settings.tasks[task]
        book = await asyncio.to_thread(PAIRS.read, store, task) or PairBook()
        begun, contest = book, await asyncio.to_thread(self._contest, task, section)
        try:
            for _ in range(BATCH):
                judged, position = await asyncio.to_thread(store.judged, task, book.position, limit=1)
                if contest is not None:
                    allowed = _allowed(book, contest, section, self._context.wall_clock())
                    pair, calls = await self._pair(task, section, contest, judged, allowed)
                    book = _spent(book, contest, calls, self._context.wall_clock())
                    book = book.with_pair(pair) if pair is not None else book
                book = msgspec.structs.replace(book, position=position)
                if not judged:
                    break
        except _NoCapacityError:
            pass
        finally:
            if book != begun:
                await asyncio.to_thread(PAIRS.write, store, book, task)

    def _contest(self, task: str, section: Task) -> Contest | None:
        """Return the versions to compare now; ``None`` without any. Blocks."""
        store = self._context.store
        if section.serve not in ("weak", "canary") or not (self._context.settings.injection and store.injecting()):
            return None
        return contest_of(store.history(task), lambda version: store.rule_set(task, version))

    async def _pair(
        self, task: str, section: Task, contest: Contest, judged: Sequence[Judged], allowed: bool
    ) -> tuple[AnswerPair | None, int]:
        """Return the result for a judgement, ``None`` if it compares nothing, and the number of calls.

        Raises the error of a model, and ``_NoCapacityError``.
        """
        side = [on_challenger(entry, contest, section) for entry in judged]
        if not side or side[0] is None:
            return None, 0
        (entry,), now = judged, self._context.wall_clock()
        at_random = entry.feedback.source in AT_RANDOM
        pair = AnswerPair(
            number=0, unit=unit_of(entry.exchange), at=now, version=contest.version, against=contest.against,
            on_challenger=side[0], at_random=at_random, key=entry.feedback.key or entry.exchange.key,
        )  # fmt: skip
        exchange = await asyncio.to_thread(self._context.store.exchange, entry.exchange.id)
        item = question(exchange) if exchange is not None and section.rollout.pairs else None
        known = max(entry.feedback.created, entry.feedback.verdict_at or 0.0)
        if item is None or entry.feedback.expected is None or now - known > TOO_OLD_S:
            return (pair if not at_random else None), 0
        if not allowed:
            return None, 0
        labelled = msgspec.structs.replace(item, expected=entry.feedback.expected)
        difference, calls = await self._difference(task, section, contest, labelled)
        if difference is None and at_random:
            return None, calls
        return msgspec.structs.replace(pair, difference=difference), calls

    async def _difference(self, task: str, section: Task, contest: Contest, item: Item) -> tuple[int | None, int]:
        """Return the difference of both versions on an item, ``None`` where neither can be graded, and the calls."""
        rules, others = injectable(contest.rules, item), injectable(contest.others, item)
        if rules == others:
            return 0, 0
        capacity = spare_capacity_of(self._context.configuration(), section.weak)
        if not capacity.free or not await self._taken(task, section):
            raise _NoCapacityError
        evaluator, model = self._evaluator(), self._model(section.weak)
        try:
            answers = await asyncio.gather(
                *(evaluator.ask(model, item.request, version, purpose="answer") for version in (rules, others))
            )
            mine, theirs = [await evaluator.graded(section.grader, item, answer) for answer in answers]
        except Ungradable:
            return None, 2
        except PreceptorError as error:
            if is_about_the_request(error):
                return None, 2
            raise
        return int(theirs.correct) - int(mine.correct), 2

    async def _taken(self, task: str, section: Task) -> bool:
        """Take two calls from the day's budget, if they are left."""
        store, now = self._context.store, self._context.wall_clock()
        account = await asyncio.to_thread(CALLS.read, store, task) or Account()
        if account.left(section.shadow.calls_per_day, now) < 2:
            return False
        await asyncio.to_thread(CALLS.write, store, account.with_calls(2, now), task)
        return True


class _NoCapacityError(Exception):
    """The end of a tick: the model is busy, or the calls of the day are spent."""


def _allowed(book: PairBook, contest: Contest, section: Task, now: float) -> bool:
    """Decide whether a comparison may make two more calls today: a trial while calls are left, a live version half."""
    spent = book.spent if book.live == _day(contest, now) else 0
    return contest.trial or spent + 2 <= section.shadow.calls_per_day / 2


def _spent(book: PairBook, contest: Contest, calls: int, now: float) -> PairBook:
    if contest.trial or not calls:
        return book
    day = _day(contest, now)
    return msgspec.structs.replace(book, live=day, spent=calls + (book.spent if book.live == day else 0))


def _day(contest: Contest, now: float) -> str:
    return f"{contest.version} {now // DAY_S:.0f}"


def contest_of(history: Sequence[Activation], lookup: Callable[[int], RuleSet | None]) -> Contest | None:
    """Return the versions to compare: a trial with the live version, a live version with that of its verification."""
    now = active_decisions(history)
    live = now.live.version if now.live is not None else None
    version = now.canary.version if now.canary is not None else live
    rules = lookup(version) if version is not None else None
    if version is None or rules is None:
        return None
    if now.canary is not None:
        against = live
    else:
        against = rules.evidence.against if rules.evidence is not None else live_before(history)[0]
    others = lookup(against) if against is not None else None
    if against == version or (against is not None and others is None):
        return None
    return Contest(version=version, rules=rules, against=against, others=others, trial=now.canary is not None)


def on_challenger(judged: Judged, contest: Contest, section: Task) -> bool | None:
    """Return true for a judgement of the challenger's reply, false for the other's, ``None`` for no use.

    Judgements of the strong model's replies are labels as good as others. A client's word counts where it says wrong.
    """
    exchange, feedback = judged.exchange, judged.feedback
    if exchange.status != "ok":
        return None
    challenger, incumbent = ("canary", "weak") if contest.trial else ("weak", "holdback")
    if feedback.source in AT_RANDOM:
        return exchange.arm == challenger if exchange.arm in ("weak", "canary", "holdback") else None
    if exchange.model != section.weak or exchange.audit_rate == 0 or exchange.correct is not False:
        return None
    if exchange.arm == challenger:
        return True
    return False if exchange.arm == incumbent else None
