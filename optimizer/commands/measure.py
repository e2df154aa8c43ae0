"""``preceptor eval``: one arm on a data file; or, with ``--calibrate``, the task's judge against people."""

from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.commands.options import config_option, json_option, print_json, settings_of
from gateway.errors import ConfigurationError
from gateway.settings import Settings
from gateway.settings.graders import JudgeGrader
from optimizer.commands.arguments import FORM, chosen, loaded, narrowed, with_store
from optimizer.commands.progress import say
from optimizer.commands.workbench import Workbench, work_on
from optimizer.distillation.confirmation import measure
from optimizer.distillation.judge_trust import judge_digest, keep
from optimizer.evaluation.judge_calibration import Calibration, calibrate, load_ratings, ratings_from
from optimizer.evaluation.reference_answers import describe_labels
from optimizer.grading.graders import kind_of


@click.command(
    "eval",
    epilog="Example: preceptor eval arithmetic --data examples.jsonl --rules none"
    "\n\nOf a judge: preceptor eval summaries --data labels.jsonl --calibrate",
)
@config_option
@json_option
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f'{FORM} For --calibrate, each line also has a reply and a person\'s verdict on it: "reply": "text",'
    ' "correct": true | false; without a file, the log\'s feedback is used.',
)  # fmt: skip
@click.option("--rules", help="VERSION, active (default) or none.")
@click.option(
    "--calibrate", "calibrating", is_flag=True,
    help="Measure the judge instead: its agreement with people, and the smallest gain that its errors leave visible."
    " Fails if it is not to be trusted.",
)  # fmt: skip
@click.argument("task")
def evaluate(
    config: Path | None, as_json: bool, data: Path | None, rules: str | None, calibrating: bool, task: str
) -> None:
    """Measure the weak model on a data file."""
    settings = narrowed(settings_of(config), task)
    if calibrating:
        if rules is not None:
            raise click.UsageError("--calibrate is about recorded replies and takes no --rules")
        _calibrated(settings, task, data, as_json)
    elif data is None:
        raise click.UsageError("Missing option '--data'")
    else:
        _measured(settings, task, data, rules or "active", as_json)


def _measured(settings: Settings, task: str, data: Path, rules: str, as_json: bool) -> None:
    section, examples = settings.tasks[task], loaded(data, settings, task)
    rule_set = with_store(settings, lambda store: chosen(store, task, rules, "--rules"))

    async def work(workbench: Workbench) -> dict[str, Any]:
        result = await measure(
            workbench.evaluator,
            workbench.learner.model(section.weak),
            section.grader,
            examples.items,
            rule_set=rule_set,
        )
        version = rule_set.version if rule_set is not None else None
        return {
            "task": task, "rules": version, "model": section.weak, **msgspec.to_builtins(result.measured),
            "interval": result.interval, "left_out": len(examples.complaints),
            "reference": describe_labels(examples.items),
        }  # fmt: skip

    result = work_on(settings, work).result
    if as_json:
        print_json(result)
        return
    low, high = result["interval"]
    click.echo(
        f"{task} on {result['model']}, rules {result['rules'] or 'none'}: {result['accuracy']:.1%} right of"
        f" {result['n']} (95% interval {low:.1%} to {high:.1%}), {result['output_tokens']:.0f} output tokens and"
        f" {result['latency_s']:.2f} s per reply"
    )
    if result["ungraded"]:
        click.echo(f"  {result['ungraded']} of them could not be graded and count as wrong")
    if result["reference"]:
        click.echo(f"  {result['reference']}")


def _calibrated(settings: Settings, task: str, data: Path | None, as_json: bool) -> None:
    section, limits = settings.tasks[task], settings.optimizer
    grader = section.grader
    if not isinstance(grader, JudgeGrader):
        raise ConfigurationError(
            f"tasks.{task}.grader", [f"only a judge can be calibrated, and this one is {kind_of(grader)!r}"]
        )
    ratings = (
        load_ratings(data, grader)
        if data is not None
        else with_store(settings, lambda store: ratings_from(store.graded(task, limit=limits.max_items), grader))
    )
    for complaint in ratings.complaints:
        say(f"{data or 'the log'}: {complaint}")

    async def work(workbench: Workbench) -> Calibration:
        result = await calibrate(workbench.evaluator, grader, ratings.rated, items=limits.confirmation_items)
        digest = judge_digest(grader, workbench.learner.model(grader.model or section.strong))
        keep(workbench.services.store, task, digest, result, workbench.services.wall_clock())
        return result

    calibration = work_on(settings, work).result
    if as_json:
        print_json({
            "task": task, "judge": grader.model, "trusted": calibration.trusted, "note": calibration.note,
            **msgspec.to_builtins(calibration), "left_out": len(ratings.complaints),
        })  # fmt: skip
    else:
        click.echo(f"{task}, judged by {grader.model}: {calibration.note}")
    if not calibration.trusted:
        raise click.exceptions.Exit(1)
