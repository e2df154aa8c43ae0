"""The walk of a migration: distil on one part of the examples, then compare three arms on the rest.

The confirmation examples are halved. The gate looks at the first half, as far as it needs to. The arms are compared on
the second half and on the unread rest of the first: examples without influence on the rules, on the form, or on the
moment at which the gate stopped. Selection therefore does not colour the comparison.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.domain import RuleSet, Value
from gateway.errors import PreceptorError, StoreError
from gateway.settings import Model as Configured
from gateway.settings import Optimizer, Task
from gateway.store.base import Store
from optimizer.dataset.items import BadData, Item
from optimizer.dataset.split import Split
from optimizer.distillation.cycle import run_cycle
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.plan import CyclePlan
from optimizer.distillation.publish import publish
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial
from optimizer.evaluation.grader_health import CannotGrade
from optimizer.evaluation.noise import is_random
from optimizer.evaluation.reference_answers import label_items
from optimizer.grading.graders import grader_for
from optimizer.migration.arms import (
    ArmName,
    ArmResult,
    ArmSummary,
    Differing,
    ModelComparison,
    arm_result,
    compare,
    differing,
)
from optimizer.migration.money import Savings, cost_of, savings
from optimizer.migration.source import ExampleSource
from optimizer.statistics.paired_test import MINIMUM

MAY_SERVE = ("better", "non-inferior")
"""Verdicts under which the candidate may serve. Under any other, savings are not shown."""
MOST_LABELLED = 64
"""Most examples for induction to be labelled by the strong model: four times the mistakes that a run needs."""


class Labels(Value, frozen=True):
    """The number of compared examples by the origin of their expected answers."""

    given: int
    """From a data file or from feedback."""
    reference: int
    """From the strong model itself."""


class Migration(Value, frozen=True):
    """The answer of a migration with all its evidence."""

    task: str
    serve: ArmName | None
    """The arm to serve with; ``None`` if nothing was shown."""
    answer: str
    labels: Labels
    outcome: Outcome
    arms: tuple[ArmSummary, ...]
    comparison: ModelComparison
    savings: Savings
    fixed_items: Differing
    """Right with the rules only."""
    broken_items: Differing
    """Right without the rules only."""
    lost_items: Differing
    """Right by the strong model only, not by the candidate."""

    def encoded(self, facts: Sequence[tuple[str, str]] = ()) -> bytes:
        """Return one JSON object: the fields of ``distill --json``, the migration's own, and the provenance."""
        own = {name: getattr(self, name) for name in self.__struct_fields__ if name not in ("outcome", "task")}
        return msgspec.json.encode({**msgspec.to_builtins(self.outcome), **own, "facts": dict(facts)})


class Migrating(Value, frozen=True):
    """The input of a migration: examples in parts, settings, and the volume of the task."""

    source: ExampleSource
    plan: CyclePlan
    parts: Split
    """The examples for distillation; the confirmation part is the gate's."""
    reserve: tuple[Item, ...]
    """Examples for the comparison only; neither distillation nor its gate ever sees them."""
    settings: Optimizer
    calls_per_month: float | None

    @property
    def unlabelled(self) -> list[Item]:
        """The needed examples without an expected answer."""
        return [item for item in self._needed() if item.expected is None]

    async def labelled(self, evaluator: Evaluator, strong: ModelClient, section: Task) -> "Migrating":
        """Label the remaining examples with the strong model's answers. Raises ``BadData`` and upstream errors."""
        if not self.unlabelled:
            return self
        given = await label_items(evaluator, strong, self._needed(), section.grader)
        plan = msgspec.structs.replace(self.plan, items=given.items)
        return set_out(self.source, plan, self.settings, calls_per_month=self.calls_per_month)

    def asked_of_strong(self, section: Task) -> list[Item]:
        """Return the questions for the strong model: labels first, then its arm of the comparison.

        An item may appear twice: an answer left to chance is no measure of itself.
        """
        again = is_random(self.reserve, section.grader)
        recorded = grader_for(section.grader).grades_records
        return self.unlabelled + [
            item
            for item in self.reserve
            if (again if item.expected is None else item.labelled_by == section.strong)
            or (item.expected is not None and not (recorded and item.id in self.source.answers))
        ]

    def _needed(self) -> list[Item]:
        parts = self.parts
        return [*parts.induction[:MOST_LABELLED], *parts.selection, *parts.confirmation, *self.reserve]


def set_out(source: ExampleSource, plan: CyclePlan, settings: Optimizer, *, calls_per_month: float | None) -> Migrating:
    """Divide the examples. Raises ``BadData`` if too few would be left to compare on."""
    most = settings.confirmation_items
    parts = plan.parts(selection=settings.selection_items, confirmation=2 * most)
    gate = min(most, (len(parts.confirmation) + 1) // 2)
    reserve = parts.confirmation[gate:]
    if len(reserve) < MINIMUM:
        raise BadData(
            f"{len(plan.items)} examples of {source.name} leave {len(reserve)} that decide nothing, and {MINIMUM} are"
            " needed to compare on: about 60 examples in all"
        )
    return Migrating(
        source=source,
        plan=plan,
        parts=msgspec.structs.replace(parts, confirmation=parts.confirmation[:gate]),
        reserve=reserve,
        settings=settings,
        calls_per_month=calls_per_month,
    )


async def migrate(
    setting: Migrating,
    *,
    evaluator: Evaluator,
    weak: ModelClient,
    strong: ModelClient,
    section: Task,
    models: Mapping[str, Configured],
    store: Store,
    now: Callable[[], float],
    activate: bool,
) -> Migration | Outcome:
    """Run a migration. Returns the outcome so far if an outage, a budget or a signal cut it short.

    Raises ``BadData`` if a grader cannot work with the strong model's answers, and ``StoreError``.
    """
    outcome = Outcome(task=setting.plan.task, note="not begun")
    try:
        setting = await setting.labelled(evaluator, strong, section)
        plan = setting.plan
        outcome = await run_cycle(
            plan, evaluator=evaluator, weak=weak, strong=strong, grader=section.grader, store=store, now=now, share=0.0,
            settings=msgspec.structs.replace(setting.settings, confirmation_items=len(setting.parts.confirmation)),
        )  # fmt: skip
        if outcome.resumable:
            return outcome
        learnt = store.rule_set(plan.task, outcome.version) if outcome.version is not None else plan.incumbent
        compared = _Compared(setting, evaluator, section, models, looked_at=frozenset(outcome.spent))
        runs = [await compared.strong(strong), await compared.arm("weak", weak, None)]
        if learnt is not None:
            runs.append(await compared.arm("weak + rules", weak, learnt))
    except (BadData, CannotGrade, StoreError):
        raise
    except PreceptorError as error:
        return msgspec.structs.replace(outcome, note=f"interrupted: {error}", resumable=True)
    if activate and outcome.adopted and learnt is not None:
        outcome = await asyncio.to_thread(_activated, outcome, learnt, plan, store, now())
    return _migration(setting, outcome, runs, cost_of(evaluator.ledger.used, models))


def _migration(setting: Migrating, outcome: Outcome, runs: Sequence[ArmResult], one_time: float | None) -> Migration:
    comparison = compare(runs[0], runs[-1], margin=setting.settings.margin)
    arms = tuple(run.arm for run in runs)
    references = arms[0].own_reference
    may_serve = comparison.verdict in MAY_SERVE
    return Migration(
        task=outcome.task,
        serve=comparison.candidate if may_serve else "strong" if comparison.verdict == "worse" else None,
        answer=_answer(comparison, arms, outcome.task),
        labels=Labels(given=arms[0].n - references, reference=references),
        outcome=outcome,
        arms=arms,
        comparison=comparison,
        savings=savings(
            arms[0].usd_per_thousand if may_serve else None, arms[-1].usd_per_thousand, one_time=one_time,
            calls_per_month=setting.calls_per_month,
        ),
        fixed_items=differing(runs, right="weak + rules", wrong="weak"),
        broken_items=differing(runs, right="weak", wrong="weak + rules"),
        lost_items=differing(runs, right="strong", wrong=comparison.candidate),
    )  # fmt: skip


def _activated(outcome: Outcome, learnt: RuleSet, plan: CyclePlan, store: Store, now: float) -> Outcome:
    """Activate the new rules, as the last step: a run that is cut short must begin again from the old state."""
    assert learnt.evidence is not None, "an adopted rule set went through the gate"
    done = publish(
        store,
        learnt,
        learnt.evidence,
        incumbent=plan.incumbent,
        share=1.0,
        started=plan.started,
        now=now,
        by=plan.by,
    )
    note = f"version {learnt.version} published, {'live' if done.activated else done.note}; {learnt.evidence.note}"
    return msgspec.structs.replace(outcome, activated=done.activated, note=note)


class _Compared:
    """The arms on the remaining examples."""

    def __init__(
        self,
        setting: Migrating,
        evaluator: Evaluator,
        section: Task,
        models: Mapping[str, Configured],
        *,
        looked_at: frozenset[str],
    ) -> None:
        unseen = [item for item in setting.parts.confirmation if item.id not in looked_at]
        self.items = [*setting.reserve, *unseen]
        self._setting = setting
        self._evaluator = evaluator
        self._section = section
        self._models = models

    async def strong(self, model: ModelClient) -> ArmResult:
        """Run the strong model. Its answers in the log count, unless such an answer is the item's only label.

        There the model is asked again: held against itself it would be right by definition, and every other arm, even
        the same model, would lose by the chance in its answers.
        """
        grader = self._section.grader
        known = {item.id: trial for item in self.items if (trial := await self._recorded(item)) is not None}
        again = "answer again" if is_random(self.items, grader) else "answer"

        async def ask(item: Item) -> Trial:
            purpose = again if item.labelled_by == model.name else "answer"
            answer = await self._evaluator.ask(model, item.request, None, purpose=purpose)
            return await self._evaluator.graded(grader, item, answer)

        asked = [item for item in self.items if item.id not in known]
        by_id = known | {trial.item.id: trial for trial in await self._evaluator.each(ask, asked, stage="strong")}
        return self._run("strong", model, None, [by_id[item.id] for item in self.items], recorded=len(known))

    async def _recorded(self, item: Item) -> Trial | None:
        """Return the strong model's answer in the log, graded; ``None`` without a gradable answer or another label."""
        grader, answer = self._section.grader, self._setting.source.answers.get(item.id)
        if answer is None or item.labelled_by == self._section.strong or not grader_for(grader).grades_records:
            return None
        return await self._evaluator.graded(grader, item, answer)

    async def arm(self, name: ArmName, model: ModelClient, rule_set: RuleSet | None) -> ArmResult:
        trials = await self._evaluator.trials(model, self.items, rule_set, self._section.grader, stage=name)
        return self._run(name, model, rule_set, trials)

    def _run(
        self, name: ArmName, model: ModelClient, rule_set: RuleSet | None, trials: Sequence[Trial], *, recorded: int = 0
    ) -> ArmResult:
        return arm_result(
            name, model.name, rule_set, trials, self._models[model.name].price,
            calls_per_month=self._setting.calls_per_month, recorded=recorded,
        )  # fmt: skip


def _answer(comparison: ModelComparison, arms: Sequence[ArmSummary], task: str) -> str:
    """Answer the question in one sentence."""
    strong, candidate, margin = arms[0], arms[-1], comparison.margin
    who = f"{candidate.model} with rules" if comparison.candidate == "weak + rules" else candidate.model
    low, high = comparison.interval
    quality = f"it is right on {candidate.accuracy:.0%} of {candidate.n} untouched examples, {strong.model} on"
    if strong.own_reference:
        quality = f"on {candidate.n} untouched examples it agrees with {strong.model} on {candidate.accuracy:.0%},"
        quality += f" {strong.model} with itself on"
    numbers = (
        f"{quality} {strong.accuracy:.0%} (95% interval of the change {100 * low:+.0f} to {100 * high:+.0f} points)"
    )
    return {
        "better": f"Yes: {who} serves {task} better than {strong.model}; {numbers}.",
        "non-inferior": f"Yes: {who} serves {task} as well as {strong.model}, a loss of more than {margin:.0%} is ruled"
        f" out; {numbers}.",
        "worse": f"No: {who} serves {task} worse than {strong.model}; {numbers}.",
        "cannot tell": f"Not shown: whether {who} can stand in for {strong.model} on {task}; {numbers};"
        f" {comparison.note}.",
    }[comparison.verdict]
