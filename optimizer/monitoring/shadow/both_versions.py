"""Both versions of a comparison answer a request in the background, in the same way, within the calls of a day.

Callers come first, as for shadows, and ``shadow.calls_per_day`` bounds the calls. Grades and records nothing.
"""

import asyncio
from collections.abc import Callable, Sequence

from gateway.context import LearnerContext
from gateway.domain import Activation, RuleSet, Value
from gateway.settings import Grader, Task
from gateway.store.history import active_decisions
from gateway.store.notes import Note
from optimizer.dataset.items import Item
from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient
from optimizer.evaluation.reference_answers import with_label
from optimizer.grading.graders import Ungradable
from optimizer.monitoring.rollout.arms import live_before
from optimizer.monitoring.shadow.allowance import Account
from optimizer.monitoring.shadow.pair import injectable
from optimizer.monitoring.shadow.spare_capacity import spare_capacity_of

CALLS = Note("pairs/calls", Account)
"""The calls of the last day, by task."""


class Contest(Value, frozen=True):
    """Two versions of a task to compare."""

    version: int
    rules: RuleSet
    against: int | None
    """``None``: no rules."""
    others: RuleSet | None
    trial: bool
    """The version is on trial; else it is live."""

    @property
    def name(self) -> str:
        """Such as ``2 against 1``."""
        return f"{self.version} against {self.against}"


class NoCapacityError(Exception):
    """The end of a tick: the model is busy, or the calls of the day are spent."""


class BothVersions:
    """The answers of one process."""

    def __init__(
        self, context: LearnerContext, *, evaluator: Callable[[], Evaluator], model: Callable[[str], ModelClient]
    ) -> None:
        """``evaluator`` makes an evaluator with a fresh budget, ``model`` a configured model by name."""
        self._context, self.evaluator, self._model = context, evaluator, model

    async def ask(
        self, task: str, section: Task, contest: Contest, item: Item, *, spare: int = 0
    ) -> tuple[Answer, Answer] | None:
        """Return the version's answer and the other's, for two calls; ``None`` if both get the same rules.

        ``spare`` calls of the day are left for others. Raises the error of a model, and ``NoCapacityError``.
        """
        rules, others = injectable(contest.rules, item), injectable(contest.others, item)
        if rules == others:
            return None
        capacity = spare_capacity_of(self._context.configuration(), section.weak)
        if not capacity.free or not await self._taken(task, section, spare):
            raise NoCapacityError
        evaluator, model = self.evaluator(), self._model(section.weak)
        mine, theirs = await asyncio.gather(
            *(evaluator.ask(model, item.request, version, purpose="answer") for version in (rules, others))
        )
        return mine, theirs

    async def _taken(self, task: str, section: Task, spare: int) -> bool:
        """Take two calls from the day's budget, if they are left."""
        store, now = self._context.store, self._context.wall_clock()
        account = await asyncio.to_thread(CALLS.read, store, task) or Account()
        if account.left(section.shadow.calls_per_day, now) < 2 + spare:
            return False
        await asyncio.to_thread(CALLS.write, store, account.with_calls(2, now), task)
        return True


async def are_equal(evaluator: Evaluator, grader: Grader, item: Item, first: Answer, second: Answer) -> bool | None:
    """Decide whether a grader takes two answers for the same; ``None`` if it cannot say.

    Raises the errors of ``Evaluator.graded``.
    """
    if (first.text, first.tool_calls) == (second.text, second.tool_calls):
        return True
    for label, answer in ((first, second), (second, first)):
        try:
            trial = await evaluator.graded(grader, with_label(item, grader, "", label), answer)
        except Ungradable:
            continue
        return None if trial.ungraded else trial.correct
    return None


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
