"""``preceptor migrate``: can the weak model serve this task, and what does it save?"""

from collections.abc import Callable
from pathlib import Path

import click

from gateway.commands.options import config_option, json_option, settings_of
from gateway.settings import Settings
from gateway.store.base import Store
from optimizer.commands.arguments import (
    FORM,
    at_its_level,
    history_of,
    narrowed,
    report_option,
    with_store,
    writable,
    write_report,
)
from optimizer.commands.estimate import announce
from optimizer.commands.outcomes import cut_short, verbose_option
from optimizer.commands.progress import on_terminal, say
from optimizer.commands.provenance import provenance
from optimizer.commands.workbench import Workbench, work_on
from optimizer.dataset.items import BadData
from optimizer.distillation.lineage import ANY_TIME
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.plan import plan_for
from optimizer.evaluation.budget import Stopped
from optimizer.evaluation.reference_answers import describe_labels
from optimizer.migration.money import monthly
from optimizer.migration.run import Migration, set_out
from optimizer.migration.run import migrate as task_migrated
from optimizer.migration.source import ExampleSource, from_file, from_log
from optimizer.report.distilled import caveats_of
from optimizer.report.migrated import migrated
from optimizer.report.page import page
from optimizer.report.summary import headline
from optimizer.report.view import Report, sentence


@click.command(epilog="Example: preceptor migrate arithmetic --data examples.jsonl --report report.html")
@config_option
@json_option
@report_option
@verbose_option
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"{FORM} Without it: the log, with the strong model's answers there.",
)  # fmt: skip
@click.option("--calls-per-month", type=click.FloatRange(min=0, min_open=True), help="Default: as in the log.")
@click.option("--activate", is_flag=True, help="Make the rule set live if it passes the gate.")
@click.argument("task")
def migrate(
    config: Path | None,
    as_json: bool,
    report: Path | None,
    verbose: bool,
    data: Path | None,
    calls_per_month: float | None,
    activate: bool,
    task: str,
) -> None:
    """Ask whether the weak model can serve a task.

    Compares strong model, weak model, and weak model with rules: quality, latency, tokens, money.
    """
    settings = narrowed(settings_of(config), task)
    writable(report)
    source = from_file(data, settings.tasks[task]) if data else with_store(settings, _log_of(settings, task))
    for complaint in source.examples.complaints:
        say(f"{source.name}: {complaint}")
    if note := describe_labels(source.examples.items):
        say(note)

    history = history_of(settings, task)
    plan = plan_for(
        task, source.examples, incumbent=history.live, started=ANY_TIME, by="migrate", spent=history.decided,
        listed=settings.tasks[task].labels, promising=history.promising,
    )  # fmt: skip
    plan, counts = at_its_level(plan, history, settings), history.counts
    setting = set_out(
        source, plan, settings.optimizer,
        calls_per_month=calls_per_month or monthly(counts.exchanges, counts.first_seen, counts.last_seen),
    )  # fmt: skip
    announce(
        settings, task, setting.parts, given=len(plan.items), untouched=setting.reserve, counts=counts,
        strong=setting.asked_of_strong(settings.tasks[task]), unlabelled=len(setting.unlabelled),
        level=plan.level, ask=not as_json and on_terminal(),
    )  # fmt: skip

    async def work(workbench: Workbench) -> Migration | Outcome:
        services, section, store = workbench.services, settings.tasks[task], workbench.services.store
        began = services.wall_clock()
        trust = await workbench.learner.trust(task, section, workbench.evaluator)
        if trust.permission == "never":
            raise BadData(trust.why)
        if trust.why:
            say(trust.why)
        result = await task_migrated(
            setting, evaluator=workbench.evaluator, weak=workbench.learner.model(section.weak),
            strong=workbench.learner.model(section.strong), section=section, models=settings.models, store=store,
            now=services.wall_clock, activate=activate and trust.permission == "decides",
        )  # fmt: skip
        if isinstance(result, Migration):
            record = store.begin_cycle(task, began, b"{}")
            store.end_cycle(record.id, services.wall_clock(), result.outcome.encoded())
        return result

    try:
        done = work_on(settings, work)
    except Stopped as stopped:
        cut_short(Outcome(task=task, note=f"interrupted: {stopped}", resumable=True), as_json, stopped=True)
    result = done.result
    if isinstance(result, Outcome):
        cut_short(result, as_json, stopped=done.ledger.stopped)
    command = ["migrate", task, *(["--data", str(data)] if data else [])]
    command += [] if calls_per_month is None else ["--calls-per-month", f"{calls_per_month:.15g}"]
    facts = provenance(settings, task, done, command=command, examples=f"{len(source.examples.items)} of {source.name}")
    view = migrated(result, facts)
    if as_json:
        click.echo(result.encoded(facts))
    else:
        _print(result, view, verbose=verbose)
    if report is not None:
        write_report(report, page(view))


def _log_of(settings: Settings, task: str) -> Callable[[Store], ExampleSource]:
    section, limit = settings.tasks[task], settings.optimizer.max_items

    def read(store: Store) -> ExampleSource:
        live = store.active().get(task)
        return from_log(
            store.graded(task, limit=limit), store.answered(task, arm="strong", limit=limit), section,
            rules=live.version if live is not None else None,
        )  # fmt: skip

    return read


def _print(migration: Migration, view: Report, *, verbose: bool) -> None:
    """Print the report's first page as text; the gate's statistics only if ``verbose``."""
    click.echo(f"{migration.answer}\n")
    wide = max(map(len, view.measures))
    columns = [(column.title, *column.cells) for column in view.columns]
    widths = [max(map(len, cells)) for cells in columns]
    for row, measure in enumerate(("", *view.measures)):
        cells = "  ".join(cells[row].rjust(width) for cells, width in zip(columns, widths, strict=True))
        click.echo(f"  {measure:<{wide}}  {cells}")
    click.echo()
    gate, *others = view.verdicts
    click.echo(f"{gate[0]}\n  {gate[1] if verbose else sentence(headline(migration.outcome))}")
    for question, answer in others:
        click.echo(f"{question}\n  {answer}")
    for rule in view.rules:
        click.echo(f"  - {rule.text}\n      {rule.effect}")
    for note in view.notes:
        if verbose or note not in caveats_of(migration.outcome):
            click.echo(f"Note: {note}")
