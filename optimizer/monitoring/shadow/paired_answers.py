"""Lets both versions of a comparison answer labelled requests anew, in the background, and grades both by the label.

Every judgement is looked at once, in the order of arrival: labels that were asked for whatever the outcome was, and
complaints on audited replies. Both answers are asked for in the same way, so neither version has the better chances.
Callers come first, as for shadows, and ``shadow.calls_per_day`` bounds the calls. A live version has half of them: a
trial, or a version that goes live on the same day, must not find them spent. Results go to ``PAIRS``.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from gateway.context import LearnerContext
from gateway.domain import Exchange, Feedback
from gateway.errors import PreceptorError, StoreError
from gateway.settings import Task
from gateway.store.base import Judged
from optimizer.dataset.items import Item
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.evaluation.reference_answers import with_label
from optimizer.grading.graders import Ungradable, grader_for
from optimizer.monitoring.rollout.answer_pairs import PAIRS, AnswerPair, PairBook
from optimizer.monitoring.rollout.arms import AT_RANDOM, measures
from optimizer.monitoring.rollout.comparison import unit_of
from optimizer.monitoring.rollout.power import DAY_S
from optimizer.monitoring.shadow.both_versions import BothVersions, Contest, NoCapacityError, contest_of
from optimizer.monitoring.shadow.pair import is_about_the_request, question, recorded_answer
from optimizer.monitoring.shadow.shadows import TOO_OLD_S
from optimizer.monitoring.shadow.telling import TELLING, TellingBook
from optimizer.monitoring.shadow.telling_requests import TellingRequests

BATCH = 50
"""Judgements of a task that a tick looks at."""


class PairedAnswers:
    """The comparison of one process."""

    def __init__(
        self, context: LearnerContext, *, evaluator: Callable[[], Evaluator], model: Callable[[str], ModelClient]
    ) -> None:
        """``evaluator`` makes an evaluator with a fresh budget, ``model`` a configured model by name."""
        self._context = context
        self._versions = BothVersions(context, evaluator=evaluator, model=model)
        self._telling = TellingRequests(context, self._versions)

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
        telling = begun_telling = await asyncio.to_thread(TELLING.read, store, task) or TellingBook()
        begun, contest = book, await asyncio.to_thread(self._contest, task, section)
        if contest is not None:
            telling = telling.begun(contest.name, self._context.wall_clock())
        try:
            for _ in range(BATCH):
                judged, position = await asyncio.to_thread(store.judged, task, book.position, limit=1)
                if judged and judged[0].feedback.source == "label":
                    telling = msgspec.structs.replace(telling, people_at=judged[0].feedback.created)
                if contest is not None:
                    allowed = _allowed(book, contest, section, self._context.wall_clock())
                    pair, calls = await self._pair(task, section, contest, judged, telling, allowed=allowed)
                    book = _spent(book, contest, calls, self._context.wall_clock())
                    book, telling = _entered(book, telling, pair, judged)
                book = msgspec.structs.replace(book, position=position)
                if not judged:
                    break
            if contest is not None and section.rollout.pairs:
                telling = await self._telling.looked(task, section, contest, telling)
        except NoCapacityError:
            pass
        finally:
            if book != begun:
                await asyncio.to_thread(PAIRS.write, store, book, task)
            if telling != begun_telling:
                await asyncio.to_thread(TELLING.write, store, telling, task)

    def _contest(self, task: str, section: Task) -> Contest | None:
        """Return the versions to compare now; ``None`` without any. Blocks."""
        store = self._context.store
        if section.serve not in ("weak", "canary") or not (self._context.settings.injection and store.injecting()):
            return None
        return contest_of(store.history(task), lambda version: store.rule_set(task, version))

    async def _pair(
        self,
        task: str,
        section: Task,
        contest: Contest,
        judged: Sequence[Judged],
        telling: TellingBook,
        *,
        allowed: bool,
    ) -> tuple[AnswerPair | None, int]:
        """Return the result for a judgement, ``None`` if it compares nothing, and the number of calls.

        Raises the error of a model, and ``NoCapacityError``.
        """
        side = [on_challenger(entry, contest, section) for entry in judged]
        if not side or side[0] is None or is_left_out(judged[0], telling):
            return None, 0
        (entry,), now = judged, self._context.wall_clock()
        at_random = entry.feedback.source in AT_RANDOM
        pair = AnswerPair(
            number=0, unit=unit_of(entry.exchange), at=now, version=contest.version, against=contest.against,
            on_challenger=side[0], at_random=at_random, key=entry.feedback.key or entry.exchange.key,
            by_model=entry.feedback.source == "shadow",
        )  # fmt: skip
        exchange = await asyncio.to_thread(self._context.store.exchange, entry.exchange.id)
        item = labelled_item(exchange, entry.feedback, section) if section.rollout.pairs else None
        known = max(entry.feedback.created, entry.feedback.verdict_at or 0.0)
        if item is None or now - known > TOO_OLD_S:
            return (pair if not at_random else None), 0
        if not allowed:
            return None, 0
        difference, calls = await self._difference(task, section, contest, item)
        if difference is None and at_random:
            return None, calls
        return msgspec.structs.replace(pair, difference=difference), calls

    async def _difference(self, task: str, section: Task, contest: Contest, item: Item) -> tuple[int | None, int]:
        """Return the difference of both versions on an item, ``None`` where neither can be graded, and the calls."""
        try:
            answers = await self._versions.ask(task, section, contest, item)
            if answers is None:
                return 0, 0
            evaluator = self._versions.evaluator()
            mine, theirs = [await evaluator.graded(section.grader, item, answer) for answer in answers]
        except Ungradable:
            return None, 2
        except PreceptorError as error:
            if is_about_the_request(error):
                return None, 2
            raise
        return int(theirs.correct) - int(mine.correct), 2


def labelled_item(exchange: Exchange | None, feedback: Feedback, section: Task) -> Item | None:
    """Return the request with its right answer: the expected one, or the reply itself if a person called it right."""
    item = question(exchange) if exchange is not None else None
    if item is None or exchange is None:
        return None
    if feedback.expected is not None:
        return msgspec.structs.replace(item, expected=feedback.expected)
    if feedback.source != "label" or feedback.correct is not True or not grader_for(section.grader).can_label:
        return None
    try:
        return with_label(item, section.grader, "", recorded_answer(exchange))
    except Ungradable:
        return None


def _entered(
    book: PairBook, telling: TellingBook, pair: AnswerPair | None, judged: Sequence[Judged]
) -> tuple[PairBook, TellingBook]:
    """Return both books with the result for a judgement, and with the equal answers that count along with it."""
    equal, at_random = 0, bool(judged) and judged[0].feedback.source in AT_RANDOM
    if at_random and judged[0].exchange.id in telling.waiting:
        telling, equal = telling.with_label(judged[0].exchange.id, usable=pair is not None)
    elif at_random and pair is not None:
        telling = telling.with_unit(pair.unit)
    if pair is not None:
        book = book.with_pair(msgspec.structs.replace(pair, equal=equal))
    return book, telling


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


def is_left_out(judged: Judged, telling: TellingBook) -> bool:
    """Decide whether a label compares nothing.

    Its conversation counts by another request, or its request was chosen because other versions differed on it.
    """
    exchange, source = judged.exchange, judged.feedback.source
    if source not in AT_RANDOM or exchange.id in telling.waiting:
        return False
    return unit_of(exchange) in telling.recent or not measures(exchange, source)


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
