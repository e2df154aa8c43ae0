"""The search for rules: propose, try, show the remaining mistakes, propose again.

Rounds are worth their calls only with a teacher other than the weak model itself. Ranks candidates and decides nothing.
"""

import asyncio

from gateway.domain import Effect, RuleRecord, RuleSet
from gateway.forms import FORMS
from gateway.settings import Grader, Optimizer
from optimizer.dataset.items import Mistake
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.sampling import conversation_names
from optimizer.dataset.split import Split
from optimizer.distillation.capacity import Capacity, most_rules, nearest_examples
from optimizer.distillation.induction.induce import Induced, Review, Teacher, induce
from optimizer.distillation.induction.lens import labels
from optimizer.distillation.induction.lint import Corpus, corpus
from optimizer.distillation.induction.sample import Sample, sample
from optimizer.distillation.induction.solved import solved_examples
from optimizer.distillation.induction.worksheets import propose_worksheet
from optimizer.distillation.plan import CyclePlan
from optimizer.distillation.rejected import Rejected
from optimizer.distillation.selection.answering import label_is_the_reply
from optimizer.distillation.selection.parts import lean, with_examples, with_worksheet
from optimizer.distillation.selection.race import CandidateRace, Selected
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.grading.graders.ungradable import text_of
from optimizer.prompts import PromptFolder


class RuleSearch:
    """One search; ``records``, ``rejected`` and ``note`` tell its course, also after an error."""

    def __init__(
        self,
        plan: CyclePlan,
        parts: Split,
        *,
        evaluator: Evaluator,
        weak: ModelClient,
        strong: ModelClient,
        grader: Grader,
        settings: Optimizer,
        selection: CandidateRace,
        capacity: Capacity | None = None,
    ) -> None:
        self._plan = plan
        self._parts = parts
        self._evaluator = evaluator
        self._weak = weak
        self._strong = strong
        self._grader = grader
        self._settings = settings
        self._selection = selection
        self._capacity = capacity
        self._max_rules = most_rules(settings.max_rules, capacity)
        self._known: Corpus | None = None
        self.records: tuple[RuleRecord, ...] = ()
        self.rejected: tuple[Rejected, ...] = ()
        self.effects: dict[str, Effect] = {}
        """The effect of each part of the best candidate, on selection items."""
        self.note = ""
        """The reason for a search without a candidate."""

    async def best(self, sampled: Sample) -> Selected | None:
        """Search for rules, then for examples and a worksheet beside them or in their place; measure what each brings.

        A model that teaches itself has rules only. Raises the errors of ``induce`` and of ``Evaluator.trials``.
        """
        selected = await self._best_rules(sampled)
        if self._strong.identity == self._weak.identity:
            return selected
        incumbent, selection = self._plan.incumbent, self._selection
        if examples := solved_examples(self._parts.induction):
            nearest = nearest_examples(self._capacity)
            selected = await with_examples(selection, selected, incumbent, examples, nearest=nearest)
        selected = await self._with_worksheet(sampled, selected)
        if selected is not None and selected.best.mean > selected.incumbent.mean:
            best, self.effects = await lean(selection, selected.best)
            if best is not selected.best:
                selected = selection.chosen(best, selected.incumbent, selected.effects)
        return selected

    async def _with_worksheet(self, sampled: Sample, selected: Selected | None) -> Selected | None:
        """Have a worksheet designed, tried, and revised once by its remaining mistakes, for a task with labels."""
        mistakes, earlier = sampled.mistakes, None
        if not labels([item.expected for item in self._parts.induction], self._plan.listed):
            return selected
        for _ in range(min(2, self.rounds)):
            proposed = await propose_worksheet(
                self._evaluator,
                self._strong,
                mistakes=mistakes,
                successes=sampled.successes,
                items=self._parts.induction,
                known=await self._texts(),
                teacher=self._teacher(),
                listed=self._plan.listed,
                earlier=earlier,
            )
            if proposed.worksheet is None:
                entry = Rejected(what="a worksheet", why=proposed.note)
                self.rejected += () if entry in self.rejected else (entry,)
                break
            selected = await with_worksheet(
                self._selection, selected, self._plan.incumbent, proposed.worksheet,
                answering=label_is_the_reply(self._parts.induction, self._grader),
            )  # fmt: skip
            if selected.best.rule_set.worksheet is None or selected.best.mean == 1.0:
                break
            earlier = proposed.worksheet
            mistakes = await self._remaining(selected.best.rule_set)
            if not mistakes:
                break
        return selected

    async def _texts(self) -> Corpus:
        """The index of users' texts, built once."""
        if self._known is None:
            self._known = await asyncio.to_thread(known_to_users, self._plan, self._settings.quote_conversations)
        return self._known

    async def _best_rules(self, sampled: Sample) -> Selected | None:
        """Have rules proposed and tried, round by round, as long as a round gets further; return the best choice.

        A later round shows the mistakes left on induction items, and the refused rules; it keeps the form, whose race
        is the dearest part of a round. Raises the errors of ``induce`` and of ``Evaluator.trials``.
        """
        incumbent, best = self._plan.incumbent, None
        review, rounds = self._first_review(sampled), self.rounds
        for left in reversed(range(rounds)):
            induced = await self._induce(sampled, review)
            if not induced.rules:
                self.note = induced.note
                if review is None and left and incumbent is not None:
                    review = Review(rules=incumbent.rules, mistakes=sampled.mistakes, refused=induced.rejected)
                    continue
                break
            selected = await self._selection.best_of(
                incumbent,
                induced.rules,
                self._max_rules,
                ordered=induced.ordered,
                revised=review is not None,
                forms=tuple(FORMS) if best is None else (best.best.rule_set.scratchpad,),
            )
            further = best is None or self._selection.ahead(selected.best, best.best)
            best = selected if best is None or further else self._selection.with_all_tried(best)
            if not left or not further or selected.best.mean == 1.0:
                break
            remaining = await self._remaining(selected.best.rule_set)
            if not remaining:
                break
            review = Review(rules=selected.best.rule_set.rules, mistakes=remaining, refused=induced.rejected)
        return best

    @property
    def rounds(self) -> int:
        """Rounds at most."""
        return self._settings.rounds if self._strong.identity != self._weak.identity else 1

    def _first_review(self, sampled: Sample) -> Review | None:
        """A full rule set is revised as a whole from the start: no rule can be added to it."""
        incumbent = self._plan.incumbent
        if incumbent is None or len(incumbent.rules) < self._max_rules or self.rounds == 1:
            return None
        return Review(rules=incumbent.rules, mistakes=sampled.mistakes)

    async def _remaining(self, candidate: RuleSet) -> tuple[Mistake, ...]:
        """The mistakes of a candidate on induction items."""
        again = await sample(
            self._evaluator,
            self._weak,
            self._grader,
            self._parts.induction,
            incumbent=candidate,
            seen={},
            unlabelled=(),
        )
        return again.mistakes

    async def _induce(self, sampled: Sample, review: Review | None) -> Induced:
        incumbent = self._plan.incumbent
        known = await self._texts()
        induced = await induce(
            self._evaluator,
            self._strong,
            mistakes=sampled.mistakes,
            successes=sampled.successes,
            existing=incumbent.rules if incumbent is not None else (),
            known=known,
            max_rules=self._max_rules,
            teacher=self._teacher(),
            items=self._parts.induction,
            listed=self._plan.listed,
            promising=self._plan.promising,
            review=review,
        )
        self.rejected += tuple(entry for entry in induced.rejected if entry not in self.rejected)
        entered = {entry.id for entry in self.records}
        self.records += tuple(entry for entry in induced.records if entry.id not in entered)
        return induced

    def _teacher(self) -> Teacher:
        """A weak model as its own teacher is asked for ways of working only, in plain text, on a short context."""
        prompts = PromptFolder(folder=self._settings.prompts_dir)
        if self._strong.identity == self._weak.identity:
            return Teacher(prompts=prompts)
        settings = self._settings
        return Teacher(
            shaped=True, lenses=True, characters=settings.shown_characters, prompts=prompts,
            conditions=settings.conditions,
        )  # fmt: skip


def known_to_users(plan: CyclePlan, least: int) -> Corpus:
    """Index the users' texts, the answers and the tools of a plan.

    A text in fewer than ``least`` conversations is a user's own.
    """
    recorded = [item.request for item in plan.items] + [mistake.request for mistake in plan.unlabelled]
    requests = [read_request(request) for request in recorded]
    seen = [plan.seen.get(item.id) for item in plan.items]
    remarks = [reply.remark.comment if reply is not None else "" for reply in seen]
    return corpus(
        [request.transcript for request in requests],
        [text_of(item.expected) for item in plan.items],
        conversations=conversation_names(requests),
        tenants=[plan.tenants.get(item.id) for item in plan.items],
        least=least,
        tools={name for request in requests for name in request.tool_names},
        instructions=" ".join(request.instructions for request in requests),
        labels=plan.listed,
        remarks=[*remarks, *(mistake.remark.comment for mistake in plan.unlabelled)],
    )
