"""Runs cycles for a gateway's tasks: decides whether there is something to learn, keeps the plan in the store while the
cycle runs, and takes up again what was interrupted. When to look is the schedule's business."""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec

from gateway.domain import CycleRecord, RuleSet, Value
from gateway.services import Services
from gateway.settings import Rollout, Task
from gateway.store.base import Graded
from optimizer.cycle import run_cycle
from optimizer.gate.levels import Spent, next_level
from optimizer.items import Examples, from_graded
from optimizer.outcome import Outcome, Plan, plan_for
from optimizer.trials.evaluate import Bench, Progress, quiet
from optimizer.trials.evaluations import Evaluations
from optimizer.trials.ledger import Ledger
from optimizer.trials.served import ServedModel

log = logging.getLogger(__name__)

GIVE_UP_S = 24 * 3600.0
"""Seconds after which an interrupted cycle is not taken up again: its examples are yesterday's."""
_HISTORY = 1000  # cycles whose confirmation items count as spent


class Learner:
    """The cycles of one gateway."""

    def __init__(self, services: Services, evaluations: Evaluations) -> None:
        self._services = services
        self._evaluations = evaluations

    def bench(self, progress: Progress = quiet) -> Bench:
        """A bench with a fresh budget."""
        settings = self._services.settings.optimizer
        return Bench(
            self._evaluations,
            Ledger(budget_calls=settings.budget_calls, budget_tokens=settings.budget_tokens),
            concurrency=settings.concurrency,
            max_output_tokens=settings.max_output_tokens,
            progress=progress,
            models={name: self.model(name) for name in self._services.settings.models},
        )

    def model(self, name: str) -> ServedModel:
        """A configured model, whose answers this learner remembers."""
        return ServedModel(name, self._services, self._evaluations)

    async def learn(self, task: str) -> Outcome | None:
        """Run the task's interrupted cycle, or a new one if there is enough to learn from; ``None`` if there is not.

        Raises ``StoreError``.
        """
        store = self._services.store
        record = await asyncio.to_thread(store.open_cycle, task)
        plan = await self._resumed(record) if record is not None else None
        if record is None or plan is None:
            plan = await asyncio.to_thread(self._new_plan, task)
            if plan is None:
                return None
            record = await asyncio.to_thread(store.begin_cycle, task, plan.started, plan.encoded())
        log.info("cycle begins", extra={"action": "cycle.begin", "task": task, "cycle": record.id})
        outcome = await self.run(plan, self.bench(), share=_first_share(self._services.settings.tasks[task].rollout))
        if not outcome.resumable:
            await self._end(record, outcome)
        log.info(
            "cycle ended", extra={"action": "cycle.end", "task": task, "cycle": record.id,
                                  "verdict": outcome.verdict, "note": outcome.note},
        )  # fmt: skip
        return outcome

    async def run(self, plan: Plan, bench: Bench, *, share: float) -> Outcome:
        """Run a plan with the task's models; ``share`` of the conversations is for what it publishes."""
        services, section = self._services, self._services.settings.tasks[plan.task]
        return await run_cycle(
            plan,
            bench=bench,
            weak=self.model(section.weak),
            strong=self.model(section.strong),
            grader=section.grader,
            settings=services.settings.optimizer,
            store=services.store,
            now=services.wall_clock,
            share=share,
        )

    async def _resumed(self, record: CycleRecord) -> Plan | None:
        """The plan of an interrupted cycle; ``None``, and the cycle ended, if it is not to be taken up again."""
        if self._services.wall_clock() - record.started > GIVE_UP_S:
            await self._end(record, Outcome(task=record.task, note="given up: interrupted for more than a day"))
            return None
        try:
            return Plan.decoded(record.plan)
        except msgspec.DecodeError:
            await self._end(record, Outcome(task=record.task, note="given up: another version of Preceptor began it"))
            return None

    async def _end(self, record: CycleRecord, outcome: Outcome) -> None:
        now = self._services.wall_clock()
        await asyncio.to_thread(self._services.store.end_cycle, record.id, now, outcome.encoded())

    def _new_plan(self, task: str) -> Plan | None:
        """A plan from the newest graded exchanges, if there are enough mistakes since the last cycle. Blocks."""
        services, section = self._services, self._services.settings.tasks[task]
        settings, store = services.settings.optimizer, services.store
        graded = store.graded(task, limit=settings.max_items)
        incumbent = store.active().get(task)
        cycles = store.cycles(task, limit=_HISTORY)
        since = cycles[0].started if cycles else 0.0
        fresh = [one for one in graded if one.feedback.created > since]
        if mistakes_in(_examples(fresh, section, incumbent)) < settings.min_mistakes:
            return None
        return plan_for(
            task,
            _examples(graded, section, incumbent),
            incumbent=incumbent,
            started=services.wall_clock(),
            by="cycle",
            spent=[item for cycle in cycles if cycle.outcome for item in _spent(cycle.outcome)],
            level=next_level(self._tests()),
        )

    def _tests(self) -> list[Spent]:
        """Every scheduled test of every task, in the order in which they were begun. Blocks.

        One that was cut short and may still adopt counts as one that will not.
        """
        store = self._services.store
        cycles = [one for task in self._services.settings.tasks for one in store.cycles(task, limit=_HISTORY)]
        tests = (_test(one) for one in sorted(cycles, key=lambda one: (one.started, one.id)))
        return [one for one in tests if one is not None]


def _first_share(rollout: Rollout) -> float:
    """What a rule set gets when it is published."""
    return {"manual": 0.0, "at_once": 1.0, "canary": rollout.steps[0]}[rollout.policy]


def _examples(graded: Sequence[Graded], section: Task, incumbent: RuleSet | None) -> Examples:
    version = incumbent.version if incumbent is not None else None
    return from_graded(graded, section.grader, model=section.weak, rules=version)


def mistakes_in(examples: Examples) -> int:
    """Replies of the incumbent that were wrong."""
    return len(examples.mistakes) + sum(not seen.correct for seen in examples.seen.values())


def _spent(outcome: bytes) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(outcome, type=Outcome).spent
    except msgspec.DecodeError:
        return ()


def _test(cycle: CycleRecord) -> Spent | None:
    """What a cycle cost the account of ``levels``; ``None`` if it came to no test, or a person asked for it."""
    try:
        told = msgspec.json.decode(cycle.outcome or cycle.plan, type=_Told)
    except msgspec.DecodeError:
        return None
    if told.by != "cycle" or told.level is None:
        return None
    return Spent(level=told.level, adopted=told.adopted and told.verdict == "better")


class _Told(Value, frozen=True):
    """What a plan or an outcome says of its test."""

    by: str = ""
    level: float | None = None
    adopted: bool = False
    verdict: str = ""


@contextlib.asynccontextmanager
async def learner(services: Services) -> AsyncIterator[Learner]:
    """A learner with its cache of evaluations in the data folder. Raises ``StoreError``."""
    evaluations = Evaluations(services.settings.server.data_dir / "evaluations")
    try:
        yield Learner(services, evaluations)
    finally:
        await asyncio.to_thread(evaluations.close)


@contextlib.contextmanager
def leading(data_dir: Path) -> Iterator[bool]:
    """Whether this process may run cycles on the data folder now: one at a time does, and a killed one lets go."""
    with (data_dir / "optimizer.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
