"""``preceptor eval``: one arm on a data file."""

from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.commands.options import config_option, json_option, print_json, settings_of
from optimizer.commands.arguments import chosen, data_option, loaded, narrowed, with_store
from optimizer.commands.workbench import Workbench, work_on
from optimizer.gate.confirm import measure


@click.command("eval", epilog="Example: preceptor eval arithmetic --data examples.jsonl --rules none")
@config_option
@json_option
@data_option
@click.option("--rules", default="active", show_default=True, help="VERSION, active or none.")
@click.argument("task")
def evaluate(config: Path | None, as_json: bool, data: Path, rules: str, task: str) -> None:
    """Measure the weak model on a data file, as callers would see it."""
    settings = narrowed(settings_of(config), task)
    section, examples = settings.tasks[task], loaded(data, settings, task)
    rule_set = with_store(settings, lambda store: chosen(store, task, rules, "--rules"))

    async def work(bench: Workbench) -> dict[str, Any]:
        found = await measure(
            bench.bench, bench.learner.model(section.weak), section.grader, examples.items, rule_set=rule_set
        )
        version = rule_set.version if rule_set is not None else None
        return {
            "task": task, "rules": version, "model": section.weak, **msgspec.to_builtins(found.measured),
            "interval": found.interval, "left_out": len(examples.complaints),
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
