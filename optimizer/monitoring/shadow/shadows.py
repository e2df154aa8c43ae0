"""Sends a share of the requests to a task's other model, in the background, and lets the grader compare.

Where the strong model served, the weak model with the live rule set answers, and the grader's verdict is feedback on
that answer. Where the weak model served, the strong one answers, and the feedback is on the caller's reply. Callers
come first: an upstream is asked only while at least half of its capacity is free, a local one only while idle, as far
as this process knows. The queue is in memory; ``needed_from`` is the position from which to read again.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from gateway.context import LearnerContext
from gateway.domain import Exchange, RuleSet, Value
from gateway.errors import PreceptorError, StoreError
from gateway.forms import composed
from gateway.settings import Task
from gateway.store.selection import shadow_id
from optimizer.evaluation.bill import LearningBill
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.monitoring.shadow.allowance import ACCOUNT, account_of
from optimizer.monitoring.shadow.pair import (
    compared,
    in_sample,
    injectable,
    is_about_the_request,
    other_model,
    question,
    shadow_of,
)
from optimizer.monitoring.shadow.spare_capacity import spare_capacity_of

WAITING = 100
"""Exchanges of a task in the queue for the other model; beyond that the oldest are given up."""
TOO_OLD_S = 3600.0
"""Age of an exchange, in seconds, at which it is given up: its result would say little of the present."""
_ASKED = "asked"
"""The count of recorded answers, beside their fates."""

log = logging.getLogger(__name__)


class Waiting(Value, frozen=True):
    """An exchange in the queue."""

    id: str
    created: float
    position: int
    """A position in the store at or before the exchange."""
    task: str
    model: str
    """The configured model to ask."""


class Shadows:
    """The queue of comparisons, and the work on it. Implements ``observe.ExchangeSink``."""

    def __init__(
        self, context: LearnerContext, *, evaluator: Callable[[], Evaluator], model: Callable[[str], ModelClient]
    ) -> None:
        """``evaluator`` makes an evaluator with a fresh budget, ``model`` a configured model by name."""
        self._context = context
        self._evaluator = evaluator
        self._model = model
        self._waiting: dict[str, dict[str, Waiting]] = defaultdict(dict)
        self._fates: dict[str, Counter[str]] = defaultdict(Counter)
        """By task: fates not yet in its account."""
        self._failing: set[str] = set()
        """Models that failed at their last call."""

    @property
    def needed_from(self) -> int | None:
        return min((entry.position for entry in self._all()), default=None)

    def offer(self, exchange: Exchange, position: int) -> None:
        """Queue an exchange if it is in its task's sample and another model can answer its request."""
        task = exchange.task
        section = self._context.settings.tasks.get(task) if task is not None else None
        if task is None or section is None or self._is_old(exchange.created):
            return
        model = other_model(exchange, section)
        if model is None or not in_sample(exchange, task, section) or question(exchange) is None:
            return
        queue = self._waiting[task]
        queue[exchange.id] = Waiting(
            id=exchange.id, created=exchange.created, position=position, task=task, model=model
        )
        if len(queue) > WAITING:
            self._ended(next(iter(queue.values())), "given_up")

    async def work(self) -> None:
        """Ask and compare the queue, as far as budgets and upstreams allow. Raises ``StoreError``.

        Requests that could not be sent stay in the queue.
        """
        configuration = self._context.configuration()
        tasks = configuration.settings.tasks
        for entry in self._all():
            section = tasks.get(entry.task)
            if section is None or entry.model not in (section.weak, section.strong) or self._is_old(entry.created):
                self._ended(entry, "given_up")
        failing: dict[str, str] = {}
        for model in {entry.model for entry in self._all()}:
            resting = spare_capacity_of(configuration, model).resting
            if resting is not None:
                failing[model] = resting
                self._failed(model, resting)
        reserved: dict[str, Sequence[Waiting]] = {}
        try:
            for task in sorted(self._tasks() & tasks.keys()):
                reserved[task] = await self._reserved(task, tasks[task], failing)
            await self._round([entry for chosen in reserved.values() for entry in chosen], failing)
        finally:
            for task, chosen in reserved.items():
                await self._settle(task, len(chosen), failing)

    async def _reserved(self, task: str, section: Task, failing: Mapping[str, str]) -> Sequence[Waiting]:
        """Reserve calls from the day's budget of a task, and return the exchanges to spend them on."""
        store, now = self._context.store, self._context.wall_clock()
        account = await asyncio.to_thread(account_of, store, task)
        left = account.left(section.shadow.calls_per_day, now)
        entries = list(self._waiting[task].values())
        if not left:
            for entry in entries:
                self._ended(entry, "given_up")
        chosen = [entry for entry in entries if entry.model not in failing][:left]
        if chosen:
            await asyncio.to_thread(ACCOUNT.write, store, account.with_calls(len(chosen), now), task)
        return chosen

    async def _settle(self, task: str, reserved: int, failing: Mapping[str, str]) -> None:
        """Give back the unspent calls, and write down the fates."""
        store, fates = self._context.store, Counter(self._fates[task])
        wrong = {failing[entry.model] for entry in self._waiting[task].values() if entry.model in failing}
        account = await asyncio.to_thread(account_of, store, task)
        settled = account.with_calls(fates[_ASKED] - reserved, self._context.wall_clock()).with_totals(
            {fate: count for fate, count in fates.items() if fate != _ASKED}, "; ".join(sorted(wrong))
        )
        if settled != account:
            await asyncio.to_thread(ACCOUNT.write, store, settled, task)
        self._fates[task] -= fates

    async def _round(self, chosen: Sequence[Waiting], failing: dict[str, str]) -> None:
        """Compare the chosen exchanges; adds to ``failing``.

        After an error of the store nothing begins; it is raised once the calls under way have ended.
        """
        if not chosen:
            return
        context = self._context
        evaluator, rules = self._evaluator(), await asyncio.to_thread(self._rules)
        concurrency = context.settings.optimizer.concurrency
        limit, errors = asyncio.Semaphore(concurrency), list[StoreError]()

        async def worker(model: str, jobs: Iterator[Waiting]) -> None:
            for entry in jobs:
                async with limit:
                    if model in failing or errors or not spare_capacity_of(context.configuration(), model).free:
                        return
                    try:
                        self._ended(entry, await self._compare(entry, evaluator, rules.get(entry.task)))
                        self._answered(model)
                    except StoreError as error:
                        errors.append(error)
                    except PreceptorError as error:
                        if is_about_the_request(error):
                            self._ended(entry, "refused")
                        else:
                            failing[model] = str(error)
                            self._failed(model, str(error))
                            self._last(entry)
                    except Exception:
                        log.exception("a comparison failed", extra={"action": "shadow.bug", "exchange": entry.id})
                        self._ended(entry, "failed")

        async with asyncio.TaskGroup() as group:
            for model in {entry.model for entry in chosen}:
                jobs = iter([entry for entry in chosen if entry.model == model])
                for _ in range(min(concurrency, spare_capacity_of(context.configuration(), model).concurrency)):
                    group.create_task(worker(model, jobs))
        if errors:
            raise errors[0]

    def _rules(self) -> Mapping[str, RuleSet]:
        """The live rule set of every task, as callers get it. Blocks."""
        injected = self._context.settings.injection and self._context.store.injecting()
        return self._context.store.active() if injected else {}

    async def _compare(self, entry: Waiting, evaluator: Evaluator, live: RuleSet | None) -> str:
        """Ask, unless a run before a restart did; record the answer, then the grader's verdict."""
        store, clock = self._context.store, self._context.wall_clock
        section = self._context.settings.tasks.get(entry.task)
        served = await asyncio.to_thread(store.exchange, entry.id)
        item = question(served) if served is not None else None
        if section is None or served is None or item is None:
            return "given_up"
        shadow = await asyncio.to_thread(store.exchange, shadow_id(entry.id))
        if shadow is None:
            rule_set, now = injectable(live, item) if served.arm == "strong" else None, clock()
            bill = LearningBill(self._context, entry.task)
            passes = composed(rule_set).most_passes if rule_set is not None else 1
            async with bill.place(entry.model, evaluator.worst_case(item.request, rule_set, passes)) as pay:
                answer = await evaluator.ask(self._model(entry.model), item.request, rule_set, purpose="answer")
                pay(answer.usage)
            await bill.settle()
            version = rule_set.version if rule_set is not None else None
            shadow = shadow_of(served, answer, model=entry.model, rules=version, now=now)
            await asyncio.to_thread(store.record, [shadow])
            self._fates[entry.task][_ASKED] += 1
            # Where two processes believe that they lead, the answer that was recorded first is graded.
            shadow = await asyncio.to_thread(store.exchange, shadow.id) or shadow
        feedback = await compared(evaluator, item, section, served=served, shadow=shadow, now=clock())
        if feedback is None:
            return "ungradable"
        await asyncio.to_thread(store.add_feedback, feedback)
        return "compared"

    def _failed(self, model: str, why: str) -> None:
        if model not in self._failing:
            log.warning(
                "nothing is compared with %s now: %s", model, why,
                extra={"action": "shadow.failing", "model": model},
            )  # fmt: skip
        self._failing.add(model)

    def _answered(self, model: str) -> None:
        if model in self._failing:
            log.info("replies are compared with %s again", model, extra={"action": "shadow.recovered", "model": model})
        self._failing.discard(model)

    def _tasks(self) -> set[str]:
        """Tasks with a queue or with fates to write down."""
        return {entry.task for entry in self._all()} | {task for task, fates in self._fates.items() if fates}

    def _all(self) -> list[Waiting]:
        return [entry for queue in self._waiting.values() for entry in queue.values()]

    def _ended(self, entry: Waiting, fate: str) -> None:
        if self._waiting[entry.task].pop(entry.id, None) is not None:
            self._fates[entry.task][fate] += 1

    def _last(self, entry: Waiting) -> None:
        """Move an exchange to the end of the queue: it may be the one request that the model cannot bear."""
        queue = self._waiting[entry.task]
        if queue.pop(entry.id, None) is not None:
            queue[entry.id] = entry

    def _is_old(self, created: float) -> bool:
        return self._context.wall_clock() - created > TOO_OLD_S
