"""``preceptor capacity``: how many rules and examples a task's weak model carries."""

from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, print_json, settings_of
from optimizer.commands.arguments import data_option, loaded, narrowed
from optimizer.commands.workbench import Workbench, work_on
from optimizer.distillation.capacity import CAPACITY, Capacity, measure_capacity, place_of


@click.command(epilog="Example: preceptor capacity arithmetic --data examples.jsonl")
@config_option
@json_option
@data_option
@click.argument("task")
def capacity(config: Path | None, as_json: bool, data: Path, task: str) -> None:
    """Measure what the weak model can carry.

    Tries idle rules on answers that are right without any, and the nearest 1 to 16 examples. The result is kept with
    the model and bounds the candidates of every later cycle.
    """
    settings = narrowed(settings_of(config), task)
    section, examples = settings.tasks[task], loaded(data, settings, task)

    async def work(workbench: Workbench) -> Capacity:
        weak = workbench.learner.model(section.weak)
        result = await measure_capacity(workbench.evaluator, weak, section.grader, task, examples.items)
        CAPACITY.write(workbench.services.store, result, place_of(weak))
        return result

    result = work_on(settings, work).result
    if as_json:
        print_json({"task": task, "note": result.note, **msgspec.to_builtins(result)})
        return
    click.echo(result.note)
    for kind, tried in (("rules", result.tried_rules), ("examples", result.tried_examples)):
        for entry in tried:
            click.echo(f"  {entry.count:>3} {kind}: {entry.accuracy:.0%} right of {entry.n}")
