"""The learning cycles of a gateway's tasks: one begins at a trigger, resumes after an interruption, and ends in the
store.

The plan stays in the store while the cycle runs. The time of the next look is the scheduler's business.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

import msgspec

from gateway.context import LearnerContext
from gateway.domain import CycleRecord, Value
from gateway.errors import PreceptorError
from gateway.settings import Settings, Task
from gateway.store.base import Graded
from gateway.store.history import active_decisions
from gateway.store.notes import DRIFT, Note
from optimizer.dataset.graded_exchanges import examples_from
from optimizer.dataset.items import Examples
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.sampling import READ_FACTOR, merged, sample_exchanges
from optimizer.distillation.asked import asked_version, pinned_rules, settle
from optimizer.distillation.audit_sample import audit_sample, graded_of, weighted_items
from optimizer.distillation.cycle import run_cycle
from optimizer.distillation.judge_trust import JudgeTrust, judge_trust
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.plan import CyclePlan, plan_for
from optimizer.distillation.promising import promising_rules, waiting_candidate
from optimizer.evaluation.answer_cache import FOLDER, AnswerCache
from optimizer.evaluation.bill import LearningBill
from optimizer.evaluation.budget import Ledger
from optimizer.evaluation.evaluator import Evaluator, Progress, no_progress
from optimizer.evaluation.gateway_model import GatewayModelClient
from optimizer.grading.graders import grader_for
from optimizer.scheduling.changes import changed_since
from optimizer.scheduling.triggers import (
    SERVED,
    LearningTrigger,
    UpstreamModel,
    drift_time,
    is_incumbents,
    items_of,
    may_be_wrong,
    mistakes_in,
    served_now,
    suspects,
    trigger_for,
)
from optimizer.statistics.alpha_spending import ScheduledTest, next_level

log = logging.getLogger(__name__)

GIVE_UP_S = 24 * 3600.0
"""Seconds after which an interrupted cycle is not taken up again: its examples are yesterday's."""
_HISTORY = 1000  # cycles whose confirmation items count as spent
_ANOTHER = ""  # no configured model is called so
TESTED = Note("alpha/tasks", tuple[str, ...])
"""The tasks with a scheduled test so far, those included that are gone since."""


class Learner:
    """The cycles of one gateway."""

    def __init__(self, context: LearnerContext, evaluations: AnswerCache, pace_s: float = 0.0) -> None:
        self._context = context
        self._evaluations = evaluations
        self._pace_s = pace_s
        self._trials: dict[str, int | None] = {}
        """By task: the version on trial at the last look."""

    def evaluator(self, progress: Progress = no_progress) -> Evaluator:
        """An evaluator with a fresh budget."""
        settings = self._context.settings.optimizer
        return Evaluator(
            self._evaluations,
            Ledger(budget_calls=settings.budget_calls, budget_tokens=settings.budget_tokens),
            concurrency=settings.concurrency,
            max_output_tokens=settings.max_output_tokens,
            teacher_output_tokens=settings.teacher_output_tokens,
            retry_after_cap_s=settings.retry_after_cap_s,
            progress=progress,
            models={name: self.model(name) for name in self._context.settings.models},
            pace_s=self._pace_s,
        )

    def model(self, name: str) -> GatewayModelClient:
        """Return a configured model with remembered answers. Raises ``ModelNotFound``."""
        return GatewayModelClient(name, self._context, self._evaluations)

    async def learn(self, task: str) -> Outcome | None:
        """Run the task's interrupted cycle, or a new one; ``None`` if there is not enough to learn from.

        No cycle begins while a rule set is on trial: its incumbent may not stay. A cycle ends under the configuration
        of its beginning. Raises ``StoreError`` and the errors of a cycle.
        """
        store, settings = self._context.store, self._context.settings
        record = await asyncio.to_thread(store.open_cycle, task)
        plan = await self._resumed(record) if record is not None else None
        if record is None or plan is None:
            plan = await asyncio.to_thread(self._new_plan, task, settings)
            if plan is None:
                return None
            record = await asyncio.to_thread(store.begin_cycle, task, plan.started, plan.encoded())
        log.info("cycle begins", extra={"action": "cycle.begin", "task": task, "cycle": record.id})
        section = settings.tasks[task]
        outcome = await self.run(plan, section, self.evaluator(), share=first_share(section))
        if not outcome.resumable:
            await self._end(record, outcome)
            if plan.asked is not None:
                await asyncio.to_thread(settle, store, task, plan.asked.version)
        log.info(
            "cycle ended", extra={"action": "cycle.end", "task": task, "cycle": record.id,
                                  "verdict": outcome.verdict},
        )  # fmt: skip
        return outcome

    async def run(self, plan: CyclePlan, section: Task, evaluator: Evaluator, *, share: float) -> Outcome:
        """Run a plan with its models; ``share`` of the conversations is for its rules, if the grader may decide."""
        context = self._context
        evaluator.bill = LearningBill(context, plan.task)
        try:
            trust = await self.trust(plan.task, section, evaluator)
        except PreceptorError as error:
            return Outcome(task=plan.task, note=f"interrupted: {error}", by=plan.by, resumable=True)
        if trust.permission == "never":
            return Outcome(task=plan.task, note=trust.why, by=plan.by)
        outcome = await run_cycle(
            plan,
            evaluator=evaluator,
            weak=self.model(section.weak),
            strong=self.model(section.strong),
            grader=section.grader,
            settings=context.settings.optimizer,
            store=context.store,
            now=context.wall_clock,
            share=share if trust.permission == "decides" else 0.0,
        )
        await evaluator.bill.settle()
        if not outcome.adopted or not trust.why:
            return outcome
        return msgspec.structs.replace(outcome, note=f"{outcome.note}; {trust.why}")

    async def trust(self, task: str, section: Task, evaluator: Evaluator) -> JudgeTrust:
        """Return the permission of the task's grader to decide. Raises the errors of ``judge_trust``."""
        judge = grader_for(section.grader).judge
        return await judge_trust(
            self._context.store, task, section.grader, evaluator=evaluator,
            judge=self.model(judge) if judge is not None else None,
            items=self._context.settings.optimizer.confirmation_items, now=self._context.wall_clock(),
        )  # fmt: skip

    async def _resumed(self, record: CycleRecord) -> CyclePlan | None:
        """Return the plan of an interrupted cycle; ``None``, and the cycle ended, if it cannot be resumed."""
        if self._context.wall_clock() - record.started > GIVE_UP_S:
            await self._end(record, Outcome(task=record.task, note="given up: interrupted for more than a day"))
            return None
        try:
            return CyclePlan.decoded(record.plan)
        except msgspec.DecodeError:
            await self._end(record, Outcome(task=record.task, note="given up: another version of Preceptor began it"))
            return None

    async def _end(self, record: CycleRecord, outcome: Outcome) -> None:
        now = self._context.wall_clock()
        await asyncio.to_thread(self._context.store.end_cycle, record.id, now, outcome.encoded())

    def _new_plan(self, task: str, configured: Settings) -> CyclePlan | None:
        """Return a plan from graded exchanges, if there is a trigger. Blocks; raises ``StoreError``."""
        context, settings, store = self._context, configured.optimizer, self._context.store
        now = context.wall_clock()
        if self._waits_for_trial(task):
            return None
        section = configured.tasks[task]
        served, is_new = self._served(task, configured, now)
        incumbent = store.active().get(task)
        version = incumbent.version if incumbent is not None else None
        cycles = store.cycles(task, limit=_HISTORY)
        drifted = drift_time(DRIFT.read(store, task), version)
        reason = trigger_for(
            cycles[0] if cycles else None, now=now, min_mistakes=settings.min_mistakes,
            drifted=drifted, new_model=is_new,
        )  # fmt: skip
        most = READ_FACTOR * settings.max_items
        half = int(settings.max_read_mb * 10**6 / 2)
        sample = audit_sample(store.audited(task, since=0.0, limit=most, max_bytes=half))
        read = merged(graded_of(sample), store.graded(task, limit=most, max_bytes=half))
        asked = asked_version(store, task)
        if asked is not None:
            reason = msgspec.structs.replace(reason, reason=f"version {asked.version} is to be tested", needed=0)
        elif waiting_candidate(cycles, incumbent, now=now) is not None:
            reason = msgspec.structs.replace(reason, reason="a candidate is carried on", needed=0)
        if sum(may_be_wrong(entry) for entry in read if entry.feedback.created > reason.since) < reason.needed:
            return None
        own = [entry for entry in read if is_incumbents(entry, section, version, served)]
        changed = changed_since(store, task, own, section, version=version)
        read = [entry for entry in read if entry.exchange.created >= changed]
        carried = waiting_candidate(cycles, incumbent, now=now, since=changed) if asked is None else None
        graded = sample_exchanges(read, most=settings.max_items, tenant_share=settings.max_share_per_tenant).graded
        examples = self._examples(section, graded, version, served, reason)
        if examples is None:
            return None
        items = items_of(graded)
        weighed, labels = weighted_items(examples.items, sample, items)
        examples = msgspec.structs.replace(examples, items=weighed)
        if carried is not None and len(carried.new(weighed)) < carried.needed():
            return None
        log.info("there is something to learn: %s", reason.reason, extra={"action": "cycle.reason", "task": task})
        SERVED.write(store, served, task)
        named = {items.get(entry.exchange.id): read_request(entry.exchange.request).tenant for entry in graded}
        return plan_for(
            task,
            examples,
            incumbent=incumbent,
            started=now,
            by="cycle",
            spent=[item for cycle in cycles if cycle.outcome for item in _spent(cycle.outcome)],
            level=carried.level if carried is not None else next_level(task, self._tests(task)),
            tenants={item: tenant for item, tenant in named.items() if item is not None and tenant is not None},
            labels=labels,
            listed=section.labels,
            promising=promising_rules(cycles, incumbent),
            pinned=pinned_rules(store, task, incumbent.rules if incumbent is not None else ()),
            asked=asked,
            carried=carried,
        )

    def _examples(
        self,
        section: Task,
        graded: Sequence[Graded],
        version: int | None,
        served: UpstreamModel,
        reason: LearningTrigger,
    ) -> Examples | None:
        """Return the exchanges as examples, if enough of them are new mistakes."""
        fresh = [entry for entry in graded if entry.feedback.created > reason.since]
        relabelled = [
            entry if is_incumbents(entry, section, version, served) else _by_another(entry) for entry in graded
        ]
        examples = examples_from(relabelled, section.grader, model=section.weak, rules=version)
        items = items_of(fresh)
        own_fresh = [entry for entry in fresh if is_incumbents(entry, section, version, served)]
        mistakes = mistakes_in(examples, set(items.values())) + suspects(own_fresh, section.grader)
        return examples if examples.items and mistakes >= reason.needed else None

    def _waits_for_trial(self, task: str) -> bool:
        """Decide whether a rule set of the task is on trial; the log says so once for each."""
        trial = active_decisions(self._context.store.history(task)).canary
        waits_for = trial.version if trial is not None else None
        if trial is not None and self._trials.get(task) != waits_for:
            log.info("no cycle while version %s is on trial", waits_for, extra={"action": "cycle.waits", "task": task})
        self._trials[task] = waits_for
        return trial is not None

    def _served(self, task: str, settings: Settings, now: float) -> tuple[UpstreamModel, bool]:
        """Return the upstream's model under the weak model's name, and if it differs from the note."""
        store = self._context.store
        weak = settings.models[settings.tasks[task].weak]
        noted = SERVED.read(store, task)
        served, is_new = served_now(noted, f"{weak.upstream} {weak.model}", now)
        if noted is None:
            SERVED.write(store, served, task)
        return served, is_new

    def _tests(self, task: str) -> list[ScheduledTest]:
        """Return every scheduled test of every task, oldest first, and note the name of this task. Blocks.

        Tasks that are gone from the configuration count by their noted names. A test cut short, and still able to
        adopt, counts as one without adoption.
        """
        store = self._context.store
        noted = TESTED.read(store) or ()
        if task not in noted:
            TESTED.write(store, (*noted, task))
        names = dict.fromkeys((*noted, *self._context.settings.tasks))
        cycles = [entry for name in names for entry in store.cycles(name, limit=_HISTORY)]
        tests = (_test(entry) for entry in sorted(cycles, key=lambda entry: (entry.started, entry.id)))
        return [entry for entry in tests if entry is not None]


def first_share(section: Task) -> float:
    """Return the share of a new rule set. While only the strong model serves, there are no callers for a trial."""
    if section.rollout.policy == "canary":
        return section.rollout.steps[0] if section.serve in ("weak", "canary") else 1.0
    return 1.0 if section.rollout.policy == "at_once" else 0.0


def _by_another(entry: Graded) -> Graded:
    """Return the exchange with its reply no longer the incumbent's: question and label stay of use."""
    return msgspec.structs.replace(entry, exchange=msgspec.structs.replace(entry.exchange, model=_ANOTHER))


def _spent(outcome: bytes) -> tuple[str, ...]:
    try:
        read = msgspec.json.decode(outcome, type=Outcome)
    except msgspec.DecodeError:
        return ()
    return (*read.spent, *read.drawn)


def _test(cycle: CycleRecord) -> ScheduledTest | None:
    """Return the cost of a cycle for the account of alpha; ``None`` without a scheduled test."""
    try:
        note = msgspec.json.decode(cycle.outcome or cycle.plan, type=_TestNote)
    except msgspec.DecodeError:
        return None
    if note.by != "cycle" or note.level is None:
        return None
    return ScheduledTest(
        task=cycle.task, level=note.level, adopted=note.adopted and note.verdict == "better", begins=note.begins
    )


class _TestNote(Value, frozen=True):
    """The part of a plan or an outcome about its test."""

    by: str = ""
    level: float | None = None
    adopted: bool = False
    verdict: str = ""
    begins: bool = True


@contextlib.asynccontextmanager
async def open_learner(context: LearnerContext, *, pace_s: float = 0.0) -> AsyncIterator[Learner]:
    """A learner with its cache of answers in the data folder; ``pace_s`` is the evaluator's. Raises ``StoreError``."""
    evaluations = AnswerCache(context.settings.server.data_dir / FOLDER)
    try:
        yield Learner(context, evaluations, pace_s)
    finally:
        await asyncio.to_thread(evaluations.close)
