"""One cycle, from mistakes to a verdict: sample -> split -> induce -> select -> confirm -> publish.

Every end is an ``Outcome`` with a note in plain words, and nothing is published without confirmation. A cycle
that is run again with its plan takes every paid answer from the cache and ends alike. Does not know when to run (the
schedule), nor the place of its plan (the store's cycles).
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from gateway.domain import RuleRecord, RuleSet
from gateway.errors import BadRequest, PreceptorError
from gateway.forms import check_parts
from gateway.settings import Grader, Optimizer
from gateway.store.base import Store
from optimizer.dataset.items import Item
from optimizer.distillation.audit_sample import sentence
from optimizer.distillation.capacity import CAPACITY, Capacity, place_of
from optimizer.distillation.examination import examine
from optimizer.distillation.induction.sample import ENOUGH, Sample, sample
from optimizer.distillation.outcome import Outcome, Tested
from optimizer.distillation.plan import CyclePlan, forecast
from optimizer.distillation.publish import Published, publish
from optimizer.distillation.rejected import Rejected
from optimizer.distillation.rule_records import settled
from optimizer.distillation.search import RuleSearch
from optimizer.distillation.selection.parts import nothing_helped
from optimizer.distillation.selection.race import MOST_RACED, CandidateRace, Selected, summary
from optimizer.distillation.standing import part_sources
from optimizer.evaluation.budget import BudgetSpent
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial
from optimizer.evaluation.grader_health import CannotGrade
from optimizer.evaluation.noise import ITEMS, detectable, is_random, noise_floor
from optimizer.statistics.paired_test import MINIMUM

MIN_MISTAKES = 3
"""Mistakes among the induction items, needed for anything in common to explain."""
_RUNS_NEAR = 6
"""Candidates on items of the reserve at most: the incumbent, rivals, and the winner without each of its parts."""
MIN_SELECTION = 6
"""CandidateRace items needed to rank candidates."""


async def run_cycle(
    plan: CyclePlan,
    *,
    evaluator: Evaluator,
    weak: ModelClient,
    strong: ModelClient,
    grader: Grader,
    settings: Optimizer,
    store: Store,
    now: Callable[[], float],
    share: float,
) -> Outcome:
    """Run a plan to its end. Errors of models, budget and store become an outcome; only cancellation gets through.

    The published rule set gets ``share`` (0..1) of the conversations, see ``publish``.
    """
    cycle = _CycleRun(plan, evaluator=evaluator, weak=weak, strong=strong, grader=grader, settings=settings)
    try:
        cycle.capacity = await asyncio.to_thread(CAPACITY.read, store, place_of(weak))
        tested = await cycle.tested()
        if tested is None:
            return cycle.outcome
        against = plan.incumbent.version if plan.incumbent is not None else None
        records = cycle.outcome.records
        sources = part_sources(tested.candidate, records, plan.items, plan.incumbent)
        published = await asyncio.to_thread(
            publish,
            store,
            tested.candidate,
            msgspec.structs.replace(tested.evidence(against, records), sources=sources),
            incumbent=plan.incumbent,
            share=share,
            started=plan.started,
            now=now(),
            by=plan.asked.decided_by if plan.asked is not None else plan.by,
        )
        return cycle.adopted(published)
    except BudgetSpent as error:
        return cycle.ended(f"stopped: {error}")
    except CannotGrade as error:
        return cycle.ended(error.message)
    except PreceptorError as error:
        return cycle.ended(f"interrupted: {error}", resumable=True)


class _CycleRun:
    """The stages of one run, and its outcome so far."""

    def __init__(
        self,
        plan: CyclePlan,
        *,
        evaluator: Evaluator,
        weak: ModelClient,
        strong: ModelClient,
        grader: Grader,
        settings: Optimizer,
    ) -> None:
        self._plan = plan
        self._evaluator = evaluator
        self._weak = weak
        self._strong = strong
        self._grader = grader
        self._settings = settings
        self._economy = False
        self.capacity: Capacity | None = None
        self._parts = plan.parts(selection=settings.selection_items, confirmation=settings.confirmation_items)
        self._selection = CandidateRace(
            evaluator, weak, grader, plan.task, self._parts.selection, reserve=self._reserve(), spare=self._spare(),
            outside_margin=settings.outside_margin, pinned=plan.pinned,
        )  # fmt: skip
        self.outcome = Outcome(
            task=plan.task,
            note="not begun",
            against=plan.incumbent.version if plan.incumbent is not None else None,
            detectable=forecast(self._parts, plan.stage_level).detectable,
            by=plan.by,
            rules=plan.asked.rules if plan.asked is not None else (),
            labels=plan.labels,
            begins=plan.carried is None,
        )

    async def tested(self) -> Tested | None:
        """Return a candidate past the gate; otherwise ``None``, with the reason in ``outcome``."""
        if reason := self._unmeasurable() or self._too_small():
            self.ended(reason)
            return None
        given = self._plan.carried.candidate if self._plan.carried is not None else self._plan.asked
        candidate = given if given is not None else await self._candidate()
        if candidate is None:
            return None
        try:
            check_parts(candidate)
        except BadRequest as error:
            self.ended(f"no rule set published: the candidate could not serve: {error}")
            return None
        self.outcome = msgspec.structs.replace(self.outcome, level=self._plan.stage_level)
        examined = await examine(
            self._plan,
            self._parts,
            candidate,
            evaluator=self._evaluator,
            weak=self._weak,
            grader=self._grader,
            settings=self._settings,
            economy=self._economy,
        )
        self.outcome = msgspec.structs.replace(examined.tested.on(self.outcome), carried=examined.carried)
        if not examined.objection:
            return examined.tested
        later = ""
        if examined.carried is not None:
            later = f"; it is carried on as soon as there are {examined.carried.needed()} more audited items"
        self.ended(f"no rule set published: {examined.objection}{later}")
        return None

    async def _candidate(self) -> RuleSet | None:
        """Look for a candidate: a better one, or a cheaper one if the objective allows for it."""
        candidate = await self._better()
        if candidate is None and self._settings.objective == "cheaper":
            candidate = await self._cheaper()
        return candidate

    async def _better(self) -> RuleSet | None:
        """Look for a candidate with new rules ahead of the incumbent on selection items."""
        sampled = await self._sample()
        if len(sampled.mistakes) < MIN_MISTAKES:
            self.ended(
                f"too few mistakes to learn from: {len(sampled.mistakes)} in {sampled.looked_at} examples,"
                f" {MIN_MISTAKES} are needed"
            )
            return None
        search = RuleSearch(
            self._plan,
            self._parts,
            evaluator=self._evaluator,
            weak=self._weak,
            strong=self._strong,
            grader=self._grader,
            settings=self._settings,
            selection=self._selection,
            capacity=self.capacity,
        )
        try:
            selected = await search.best(sampled)
        finally:
            self._reject(*search.rejected)
            self.outcome = msgspec.structs.replace(
                self.outcome, records=search.records, effects=search.effects, drawn=self._selection.drawn
            )
        if selected is None:
            self.ended(search.note)
            return None
        return await self._chosen(selected, search.note)

    async def _cheaper(self) -> RuleSet | None:
        """Look for a candidate as good as the incumbent on selection items for fewer tokens."""
        incumbent = self._plan.incumbent
        if incumbent is None or not incumbent.rules:
            return None
        selected = await self._selection.cheapest_as_good(incumbent)
        self._enter(selected)
        if selected.best.rule_set == incumbent:
            self.ended(f"{self.outcome.note}; and nothing cheaper did as well")
            return None
        await self._listen(selected.incumbent.trials)
        self._economy = True
        return selected.best.rule_set

    def ended(self, note: str, *, resumable: bool = False) -> Outcome:
        """The outcome so far, with the reason for ending here."""
        ledger, set_aside = self._evaluator.ledger, self._evaluator.set_aside
        self.outcome = msgspec.structs.replace(
            self.outcome,
            note="; ".join(filter(None, (note, set_aside.note()))),
            resumable=resumable,
            calls=ledger.calls,
            tokens=ledger.tokens,
            set_aside=set_aside.reasons,
            provider=tuple(
                f"{name} asked for {count} pause(s) of at most {longest:g} s (Retry-After), and got them"
                for name, (count, longest) in self._evaluator.pauses.items()
            ),
        )
        return self.outcome

    def adopted(self, published: Published) -> Outcome:
        """The outcome of a cycle with a published rule set."""
        version = published.rule_set.version
        state = "live" if published.activated else published.note
        self.outcome = msgspec.structs.replace(
            self.outcome, adopted=True, version=version, activated=published.activated
        )
        finding = published.rule_set.evidence
        return self.ended(f"version {version} published, {state}; {finding.note if finding else ''}")

    def _unmeasurable(self) -> str:
        """The reason against any measurement by these labels; empty if something can be shown."""
        labels = self._plan.labels
        return sentence(labels, self._plan.task) if labels is not None else ""

    def _too_small(self) -> str:
        selection, confirmation = (
            len({item.unit for item in part}) for part in (self._parts.selection, self._parts.confirmation)
        )
        is_given = self._plan.carried is not None or self._plan.asked is not None
        if confirmation >= MINIMUM and (selection >= MIN_SELECTION or is_given):
            return ""
        return (
            f"too few examples that have not decided anything yet: {selection} to select on and {confirmation} to"
            f" confirm on, {MIN_SELECTION} and {MINIMUM} are needed (near-duplicates and turns of one conversation"
            " count once)"
        )

    async def _sample(self) -> Sample:
        return await sample(
            self._evaluator,
            self._weak,
            self._grader,
            self._parts.induction,
            incumbent=self._plan.incumbent,
            seen=self._plan.seen,
            unlabelled=self._plan.unlabelled,
        )

    async def _chosen(self, selected: Selected, note: str) -> RuleSet | None:
        """The best candidate, if it is ahead of the incumbent; ``note`` is the search's."""
        self._enter(selected)
        if selected.best.mean > selected.incumbent.mean:
            await self._listen(selected.incumbent.trials)
            return selected.best.rule_set
        self.ended(f"{note}; {nothing_helped(selected, no_rules=True)}" if note else nothing_helped(selected))
        return None

    def _enter(self, selected: Selected) -> None:
        """Enter all candidates and the fate of every rule into the outcome."""
        books = settled(
            self.outcome.records,
            candidate=selected.best.rule_set,
            tried=[other.rule_set for other in (selected.incumbent, *selected.others)],
            effects=selected.effects,
        )
        self.outcome = msgspec.structs.replace(self.outcome, tried=selected.tried, records=books)
        self._reject(*_losers(selected), *_dropped(books))

    async def _listen(self, first: Sequence[Trial]) -> None:
        """Measure the noise floor, if there may be noise, and the smallest gain above it in reach of confirmation."""
        if is_random(self._parts.selection, self._grader):
            noise = await noise_floor(self._evaluator, self._weak, self._grader, first, incumbent=self._plan.incumbent)
            units = len({item.unit for item in self._parts.confirmation})
            shown = detectable(units, noise, level=self._plan.stage_level)
            self.outcome = msgspec.structs.replace(self.outcome, noise=noise, detectable=shown)

    def _spare(self) -> int:
        """Answers for trying rules alone, and as many for leaving them out.

        Neither takes more than confirmation, nor more than the budget of calls leaves after the largest use of every
        other stage. Known before the run, so a resumed run comes to the same end.
        """
        return min(2 * len(self._parts.confirmation), self._left() // 2)

    def _reserve(self) -> tuple[Item, ...]:
        """Items for candidates near each other, as far as a third of the other answers goes."""
        return self._parts.reserve[: max(0, self._left() // 3 // _RUNS_NEAR)]

    def _left(self) -> int:
        """Answers in the budget behind the largest use of every stage."""
        confirmation = 2 * len(self._parts.confirmation)
        induction = self._settings.rounds * len(self._parts.induction) + ENOUGH
        others = induction + ITEMS + MOST_RACED * len(self._parts.selection) + confirmation
        return self._settings.budget_calls - others

    def _reject(self, *rejected: Rejected) -> None:
        known = self.outcome.rejected
        new = tuple(entry for entry in rejected if entry not in known)
        self.outcome = msgspec.structs.replace(self.outcome, rejected=known + new)


def _losers(selected: Selected) -> list[Rejected]:
    """Every candidate besides the chosen one, with its score."""
    return [
        Rejected(
            what=summary(other.rule_set),
            why=f"{other.mean:.0%} right on {other.measured.n} selection items",
        )
        for other in selected.others
    ]


def _dropped(books: Sequence[RuleRecord]) -> list[Rejected]:
    """The rules left out of the chosen candidate."""
    return [Rejected(what=entry.text, why=entry.why) for entry in books if entry.status == "dropped"]
