"""What a strong model writes for one part of a version alone: rules, or a worksheet, without a race and without a gate.

The functions of the engine ask, check and refuse, on the items that ours may learn from too. Tests nothing.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.commands.options import settings_of
from gateway.domain import RuleSet
from gateway.teaching import Worksheet
from optimizer.commands.arguments import loaded, narrowed
from optimizer.commands.workbench import Workbench, work_on
from optimizer.distillation.induction.induce import induce
from optimizer.distillation.induction.questions import Teacher
from optimizer.distillation.induction.sample import sample
from optimizer.distillation.induction.worksheets import propose_worksheet
from optimizer.distillation.lineage import ANY_TIME
from optimizer.distillation.plan import plan_for
from optimizer.distillation.search import known_to_users

Content = dict[str, Any]
"""The parts of a version, as a file of rules holds them."""


def rules(config: Path, data: Path, task: str) -> Content:
    """The rules that the strong model writes at its first look at the mistakes, in its own order."""

    async def asked(lesson: "_Lesson") -> Content:
        found = await sample(
            lesson.evaluator, lesson.weak, lesson.grader, lesson.items, incumbent=None, seen={}, unlabelled=()
        )
        induced = await induce(
            lesson.evaluator, lesson.strong, mistakes=found.mistakes, successes=found.successes, existing=(),
            known=lesson.known, max_rules=lesson.max_rules, teacher=lesson.teacher, items=lesson.items,
            listed=lesson.listed,
        )  # fmt: skip
        written = msgspec.to_builtins(induced.ordered or induced.rules)
        return {"rules": written, "refused": [msgspec.to_builtins(entry) for entry in induced.rejected]}

    return _taught(config, data, task, asked)


def worksheet(config: Path, data: Path, task: str, *, revisions: int = 0) -> Content:
    """The worksheet that the strong model designs, revised by the mistakes that remain with it."""

    async def asked(lesson: "_Lesson") -> Content:
        sheet: Worksheet | None = None
        refused: list[str] = []
        for _ in range(1 + revisions):
            candidate: RuleSet | None = None if sheet is None else RuleSet(task=task, worksheet=sheet)
            found = await sample(
                lesson.evaluator, lesson.weak, lesson.grader, lesson.items, incumbent=candidate, seen={}, unlabelled=()
            )
            if not found.mistakes:
                break
            proposed = await propose_worksheet(
                lesson.evaluator, lesson.strong, mistakes=found.mistakes, successes=found.successes,
                items=lesson.items, known=lesson.known, teacher=lesson.teacher, listed=lesson.listed, earlier=sheet,
            )  # fmt: skip
            refused += [proposed.note] if proposed.note else []
            sheet = proposed.worksheet or sheet
        return {"rules": [], "refused": refused, "worksheet": msgspec.to_builtins(sheet)}

    return _taught(config, data, task, asked)


class _Lesson:
    """A task's models, and the items to learn from."""

    def __init__(self, workbench: Workbench, data: Path, task: str) -> None:
        settings = workbench.services.settings
        section, optimizer = settings.tasks[task], settings.optimizer
        plan = plan_for(
            task, loaded(data, settings, task), incumbent=None, started=ANY_TIME, by="bench", listed=section.labels
        )
        parts = plan.parts(selection=optimizer.selection_items, confirmation=optimizer.confirmation_items)
        self.evaluator = workbench.evaluator
        self.weak, self.strong = workbench.learner.model(section.weak), workbench.learner.model(section.strong)
        self.grader, self.items, self.listed = section.grader, parts.induction, section.labels
        self.known = known_to_users(plan, optimizer.quote_conversations)
        self.max_rules = optimizer.max_rules
        self.teacher = Teacher(shaped=True, lenses=True, characters=optimizer.shown_characters)


def _taught(config: Path, data: Path, task: str, asked: Callable[[_Lesson], Awaitable[Content]]) -> Content:
    settings = narrowed(settings_of(config), task)

    async def work(workbench: Workbench) -> Content:
        return await asked(_Lesson(workbench, data, task))

    return work_on(settings, work).result
