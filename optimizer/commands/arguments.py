"""Arguments that commands share: a task, a data file, rule sets from anywhere, a file for the report."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.commands.options import known_task, store_of
from gateway.domain import Rule, RuleSet, Value
from gateway.errors import NotFound, PreceptorError
from gateway.rules.files import read_rule_set
from gateway.settings import Settings
from gateway.store.base import Store, TaskCounts
from optimizer.commands.progress import say
from optimizer.dataset.data_file import load_examples
from optimizer.dataset.items import Examples, Item
from optimizer.distillation.asked import pinned_rules
from optimizer.distillation.induction.own_rules import objections
from optimizer.distillation.lineage import decided, items_tested_by_hand, level_for
from optimizer.distillation.plan import CyclePlan
from optimizer.distillation.promising import CYCLES, promising_rules
from optimizer.distillation.rejected import Rejected
from optimizer.grading.graders import grader_for
from optimizer.statistics.paired_test import LEVEL

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")

FORM = 'File with {"input": "text" | "messages": [...], "expected": ...} a line, or of another tool: docs/data.md.'

data_option = click.option(
    "--data", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help=FORM
)
report_option = click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a report as one HTML file."
)


def narrowed(settings: Settings, task: str) -> Settings:
    """Reduce the settings to the models and upstreams of the task, so that no others are started or needed."""
    section = settings.tasks[known_task(settings, task)]
    judge = grader_for(section.grader).judge
    models = {name: settings.models[name] for name in (section.weak, section.strong, judge) if name is not None}
    upstreams = {name: settings.upstreams[name] for model in models.values() for name in model.every_upstream}
    server = msgspec.structs.replace(settings.server, default_upstream=None)
    return msgspec.structs.replace(settings, server=server, models=models, upstreams=upstreams, tasks={task: section})


def loaded(data: Path, settings: Settings, task: str) -> Examples:
    """Load the examples of a data file and report the unusable lines. Raises ``BadData``."""
    examples = load_examples(data, settings.tasks[task].grader)
    for complaint in examples.complaints:
        say(f"{data}: {complaint}")
    return examples


def with_store(settings: Settings, read: Callable[[Store], Result]) -> Result:
    """Call ``read`` with the configured store, opened for the time of the call."""
    with store_of(settings) as store:
        return read(store)


class TaskHistory(Value, frozen=True):
    """A task in the store when a command begins."""

    live: RuleSet | None
    decided: tuple[str, ...]
    """Ids of the items that confirmed the live rules."""
    counts: TaskCounts
    tested: tuple[tuple[str, ...], ...] = ()
    """Ids of the items of each earlier test by hand."""
    promising: tuple[Rule, ...] = ()
    """Rules ahead in earlier cycles, and not proven."""
    pinned: tuple[Rule, ...] = ()
    """Live rules that a person pinned."""


def history_of(settings: Settings, task: str) -> TaskHistory:
    """Read a task's history from the configured store."""

    def read(store: Store) -> TaskHistory:
        live = store.active().get(task)
        counts = store.counts().get(task, TaskCounts())
        return TaskHistory(
            live=live,
            decided=tuple(decided(store, task, live)),
            counts=counts,
            tested=tuple(items_tested_by_hand(store, task)),
            promising=promising_rules(store.cycles(task, limit=CYCLES), live),
            pinned=pinned_rules(store, task, live.rules if live is not None else ()),
        )

    return with_store(settings, read)


def level_left(items: Sequence[Item], history: TaskHistory) -> float:
    """Return the level that earlier tests by hand on these items left over, and say so."""
    level = level_for(items, history.tested)
    if level < LEVEL:
        say(
            f"these examples were tested before: a useless change may now pass in {level:.2%} of cases, not {LEVEL:.0%}"
        )
    return level


def at_its_level(plan: CyclePlan, history: TaskHistory, settings: Settings) -> CyclePlan:
    """Hold a plan to the level that earlier tests on its confirmation items left over, and say so."""
    section = settings.optimizer
    parts = plan.parts(selection=section.selection_items, confirmation=section.confirmation_items)
    level = level_left(parts.confirmation, history)
    return msgspec.structs.replace(plan, level=level)


def chosen(store: Store, task: str, wanted: str, option: str) -> RuleSet | None:
    """Return the rule set of an option: a version, ``active``, ``none``, or a file."""
    if wanted == "none":
        return None
    if wanted == "active":
        return store.active().get(task)
    if wanted.isdigit():
        rule_set = store.rule_set(task, int(wanted))
        if rule_set is None:
            raise NotFound(f"task {task!r} has no version {wanted}: see 'preceptor rules list {task}'")
        return rule_set
    if not Path(wanted).exists():
        raise click.BadParameter(f"{wanted!r} is no version, file, 'active' or 'none'", param_hint=option)
    return read_rule_set(Path(wanted), task)


def linted(rule_set: RuleSet, requests: Sequence[bytes], settings: Settings) -> tuple[Rejected, ...]:
    """Return, and report, the texts of an operator that must not be used beside these users' requests."""
    task = settings.tasks.get(rule_set.task)
    refused = objections(
        rule_set, requests, least=settings.optimizer.quote_conversations, labels=task.labels if task is not None else ()
    )
    for entry in refused:
        say(f"{entry.what!r} {entry.why}")
    return refused


def writable(report: Path | None) -> None:
    """Raise ``PreceptorError`` if there is no folder for the report: better before an hour of work than after it."""
    if report is not None and not report.absolute().parent.is_dir():
        raise PreceptorError(f"there is no folder {report.parent} for the report: make it, or name another file")


def write_report(report: Path, text: str) -> None:
    """Write a report. Raises ``PreceptorError``."""
    try:
        report.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PreceptorError(f"the report cannot be written to {report}: {error.strerror}") from error
    say(f"report: {report}")
