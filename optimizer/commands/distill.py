"""``preceptor distill``: rules from a data file, and the proof that they help."""

from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, settings_of
from optimizer.commands.arguments import (
    at_its_level,
    data_option,
    history_of,
    loaded,
    narrowed,
    report_option,
    writable,
    write_report,
)
from optimizer.commands.estimate import announce
from optimizer.commands.outcomes import cut_short, print_outcome, verbose_option
from optimizer.commands.progress import on_terminal
from optimizer.commands.provenance import provenance
from optimizer.commands.workbench import Workbench, work_on
from optimizer.distillation.lineage import ANY_TIME
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.plan import plan_for
from optimizer.evaluation.budget import Stopped


@click.command(epilog="Example: preceptor distill arithmetic --data examples.jsonl --activate")
@config_option
@json_option
@data_option
@report_option
@verbose_option
@click.option("--activate", is_flag=True, help="Make the rule set live if it passes the gate.")
@click.argument("task")
def distill(
    config: Path | None, as_json: bool, data: Path, report: Path | None, verbose: bool, activate: bool, task: str
) -> None:
    """Learn rules from a data file and prove them.

    Collects the weak model's mistakes, has the strong model write rules, and tests them on untouched examples. An
    interrupted run continues if it is started again.
    """
    settings = narrowed(settings_of(config), task)
    writable(report)
    examples = loaded(data, settings, task)

    history, section = history_of(settings, task), settings.optimizer
    plan = plan_for(
        task, examples, incumbent=history.live, started=ANY_TIME, by="distill", spent=history.decided,
        listed=settings.tasks[task].labels, promising=history.promising, pinned=history.pinned,
    )  # fmt: skip
    plan = at_its_level(plan, history, settings)
    parts = plan.parts(selection=section.selection_items, confirmation=section.confirmation_items)
    ask = not as_json and on_terminal()
    announce(settings, task, parts, given=len(plan.items), counts=history.counts, level=plan.level, ask=ask)

    async def work(workbench: Workbench) -> Outcome:
        store, now = workbench.services.store, workbench.services.wall_clock
        began = now()
        outcome = await workbench.learner.run(
            plan, settings.tasks[task], workbench.evaluator, share=1.0 if activate else 0.0
        )
        learnt = workbench.learnt_quirks()
        outcome = msgspec.structs.replace(outcome, provider=(*outcome.provider, *learnt))
        if not outcome.resumable:
            record = store.begin_cycle(task, began, b"{}")
            store.end_cycle(record.id, now(), outcome.encoded())
        return outcome

    try:
        done = work_on(settings, work)
    except Stopped as stopped:
        cut_short(Outcome(task=task, note=f"interrupted: {stopped}", resumable=True), as_json, stopped=True)
    outcome = done.result
    if outcome.resumable:
        cut_short(outcome, as_json, stopped=done.ledger.stopped)
    print_outcome(outcome, as_json, verbose=verbose)
    if report is not None:
        from optimizer.report.distilled import distilled
        from optimizer.report.page import page

        facts = provenance(
            settings, task, done, command=["distill", task, "--data", str(data)],
            examples=f"{len(examples.items)} of {data.name}",
        )  # fmt: skip
        write_report(report, page(distilled(outcome, facts)))
