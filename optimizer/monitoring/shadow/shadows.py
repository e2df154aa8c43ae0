"""Asks a task's other model, in the background, what a share of the requests asked, and lets the grader compare.

Where the strong model served, the weak one with the live rule set answers, and what the grader says is feedback on that
answer; where the weak model served, the strong one answers, and the feedback is on what the caller received. Callers
come first: an upstream is asked only while at least half of its capacity is free, a local one only while it has nothing
else to do, as far as this process knows. What waits is in memory; ``held`` says from where it must be read again.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from gateway.domain import Exchange, RuleSet, Value
from gateway.errors import PreceptorError, StoreError, UpstreamRefused
from gateway.services import Services
from gateway.settings import Task
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.monitoring.shadow.allowance import account_of, keep
from optimizer.monitoring.shadow.pair import (
    compared,
    in_sample,
    injectable,
    other_model,
    question,
    shadow_id,
    shadow_of,
)
from optimizer.monitoring.shadow.spare_capacity import spare_capacity_of

WAITING = 100
"""Exchanges of a task that wait for the other model; of more, the oldest are given up."""
TOO_OLD_S = 3600.0
"""Age of an exchange, in seconds, at which it is given up: what is found then says little of now."""
_BUSY = frozenset({401, 403, 404, 408, 409, 429})
"""Refusals that are about the upstream or its load; other 4xx are about the request."""
_ASKED = "asked"
"""What an answer that was recorded counts as, beside what became of it."""

log = logging.getLogger(__name__)


class Waiting(Value, frozen=True):
    """An exchange that is to be compared."""

    id: str
    created: float
    position: int
    """From where it can be read again."""
    task: str
    model: str
    """The configured model that is to be asked."""


class Shadows:
    """What waits to be compared, and the work on it. Implements ``observe.ExchangeSink``."""

    def __init__(
        self, services: Services, *, evaluator: Callable[[], Evaluator], model: Callable[[str], ModelClient]
    ) -> None:
        """``evaluator`` makes one with a fresh budget, ``model`` a configured model by name."""
        self._services = services
        self._evaluator = evaluator
        self._model = model
        self._waiting: dict[str, dict[str, Waiting]] = defaultdict(dict)
        self._came_of: dict[str, Counter[str]] = defaultdict(Counter)
        """By task, what is not in its account yet."""
        self._failing: set[str] = set()
        """Models that could not be asked when they were needed last."""

    @property
    def held(self) -> int | None:
        return min((one.position for one in self._all()), default=None)

    def offer(self, exchange: Exchange, position: int) -> None:
        """Let an exchange wait if it is in its task's sample and another model can be asked the same."""
        task = exchange.task
        section = self._services.settings.tasks.get(task) if task is not None else None
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
        """Ask and compare what waits, as far as budgets and upstreams allow. Raises ``StoreError``.

        What could not be asked goes on waiting.
        """
        serving = self._services.serving
        tasks = serving.settings.tasks
        for one in self._all():
            section = tasks.get(one.task)
            if section is None or one.model not in (section.weak, section.strong) or self._is_old(one.created):
                self._ended(one, "given_up")
        failing: dict[str, str] = {}
        for model in {one.model for one in self._all()}:
            resting = spare_capacity_of(serving, model).resting
            if resting is not None:
                failing[model] = resting
                self._failed(model, resting)
        reserved: dict[str, Sequence[Waiting]] = {}
        try:
            for task in sorted(self._tasks() & tasks.keys()):
                reserved[task] = await self._reserved(task, tasks[task], failing)
            await self._round([one for chosen in reserved.values() for one in chosen], failing)
        finally:
            for task, chosen in reserved.items():
                await self._settle(task, len(chosen), failing)

    async def _reserved(self, task: str, section: Task, failing: Mapping[str, str]) -> Sequence[Waiting]:
        """What of a task may be asked now, taken from its calls of the day."""
        store, now = self._services.store, self._services.wall_clock()
        account = await asyncio.to_thread(account_of, store, task)
        left = account.left(section.shadow.calls_per_day, now)
        waiting = list(self._waiting[task].values())
        if not left:
            for one in waiting:
                self._ended(one, "given_up")
        chosen = [one for one in waiting if one.model not in failing][:left]
        if chosen:
            await asyncio.to_thread(keep, store, task, account.with_calls(len(chosen), now))
        return chosen

    async def _settle(self, task: str, reserved: int, failing: Mapping[str, str]) -> None:
        """Give back what was not spent, and write down what came of the rest."""
        store, came_of = self._services.store, Counter(self._came_of[task])
        wrong = {failing[one.model] for one in self._waiting[task].values() if one.model in failing}
        account = await asyncio.to_thread(account_of, store, task)
        settled = account.with_calls(came_of[_ASKED] - reserved, self._services.wall_clock()).with_totals(
            {fate: count for fate, count in came_of.items() if fate != _ASKED}, "; ".join(sorted(wrong))
        )
        if settled != account:
            await asyncio.to_thread(keep, store, task, settled)
        self._came_of[task] -= came_of

    async def _round(self, chosen: Sequence[Waiting], failing: dict[str, str]) -> None:
        """Compare what was chosen; adds to ``failing``. After an error of the store nothing is begun, and it is raised
        when what was under way has ended."""
        if not chosen:
            return
        services = self._services
        evaluator, rules = self._evaluator(), await asyncio.to_thread(self._rules)
        concurrency = services.settings.optimizer.concurrency
        limit, errors = asyncio.Semaphore(concurrency), list[StoreError]()

        async def worker(model: str, jobs: Iterator[Waiting]) -> None:
            for one in jobs:
                async with limit:
                    if model in failing or errors or not spare_capacity_of(services.serving, model).free:
                        return
                    try:
                        self._ended(one, await self._compare(one, evaluator, rules.get(one.task)))
                        self._answered(model)
                    except StoreError as error:
                        errors.append(error)
                    except PreceptorError as error:
                        if _is_about_the_request(error):
                            self._ended(one, "refused")
                        else:
                            failing[model] = str(error)
                            self._failed(model, str(error))
                            self._last(one)
                    except Exception:
                        log.exception("a comparison failed", extra={"action": "shadow.bug", "exchange": one.id})
                        self._ended(one, "failed")

        async with asyncio.TaskGroup() as group:
            for model in {one.model for one in chosen}:
                jobs = iter([one for one in chosen if one.model == model])
                for _ in range(min(concurrency, spare_capacity_of(services.serving, model).concurrency)):
                    group.create_task(worker(model, jobs))
        if errors:
            raise errors[0]

    def _rules(self) -> Mapping[str, RuleSet]:
        """The live rule set of every task, as callers get it. Blocks."""
        injected = self._services.settings.injection and self._services.store.injecting()
        return self._services.store.active() if injected else {}

    async def _compare(self, one: Waiting, evaluator: Evaluator, live: RuleSet | None) -> str:
        """Ask, unless that was done before a restart, and write down the answer and then the grader's word on it."""
        store, clock = self._services.store, self._services.wall_clock
        section = self._services.settings.tasks.get(one.task)
        served = await asyncio.to_thread(store.exchange, one.id)
        item = question(served) if served is not None else None
        if section is None or served is None or item is None:
            return "given_up"
        shadow = await asyncio.to_thread(store.exchange, shadow_id(one.id))
        if shadow is None:
            rule_set, now = injectable(live, item) if served.arm == "strong" else None, clock()
            answer = await evaluator.ask(self._model(one.model), item.request, rule_set, purpose="answer")
            version = rule_set.version if rule_set is not None else None
            shadow = shadow_of(served, answer, model=one.model, rules=version, now=now)
            await asyncio.to_thread(store.record, [shadow])
            self._came_of[one.task][_ASKED] += 1
            # Where two processes believe that they lead, the answer that was recorded first is the one to grade.
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
        """Those with something to do or to write down."""
        return {one.task for one in self._all()} | {task for task, came_of in self._came_of.items() if came_of}

    def _all(self) -> list[Waiting]:
        return [one for queue in self._waiting.values() for one in queue.values()]

    def _ended(self, one: Waiting, fate: str) -> None:
        if self._waiting[one.task].pop(one.id, None) is not None:
            self._came_of[one.task][fate] += 1

    def _last(self, one: Waiting) -> None:
        """Let the others go first: it may be this one that the model cannot bear."""
        queue = self._waiting[one.task]
        if queue.pop(one.id, None) is not None:
            queue[one.id] = one

    def _is_old(self, created: float) -> bool:
        return self._services.wall_clock() - created > TOO_OLD_S


def _is_about_the_request(error: PreceptorError) -> bool:
    return isinstance(error, UpstreamRefused) and error.status < 500 and error.status not in _BUSY
