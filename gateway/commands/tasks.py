"""``preceptor tasks``: what is configured, what came in, what the optimizer last made of it."""

import time
from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, known_task, print_json, settings_of, store_of
from gateway.routing.unclaimed import still_unclaimed
from gateway.store.base import TaskCounts

_COUNTED = 1_000
"""Requests without a task that are counted."""
_WORTH_A_WORD = 20
"""Fewer of them are not mentioned."""


@click.group()
def tasks() -> None:
    """List tasks and show one."""


@tasks.command("list", epilog="Example: preceptor tasks list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:
    """Every configured task with its traffic and its active rule set."""
    settings = settings_of(config)
    with store_of(settings) as store:
        counts, active = store.counts(), store.active()
        unclaimed = 0 if as_json else len(still_unclaimed(store.unclaimed(limit=_COUNTED), settings.tasks))
    rows = [
        {
            "task": name,
            "weak": task.weak,
            "strong": task.strong,
            "serve": task.serve,
            "rules": active[name].version if name in active else None,
            **msgspec.to_builtins(counts.get(name, TaskCounts())),
        }
        for name, task in settings.tasks.items()
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(
            f"{row['task']:<20} {row['weak']} (taught by {row['strong']}), serves {row['serve']}, "
            f"rules {row['rules'] or 'none'}, {row['exchanges']} exchanges, {row['errors']} errors,"
            f" {row['feedback']} with feedback"
        )
    if not rows:
        click.echo("no task is configured")
    if unclaimed >= _WORTH_A_WORD:
        number = f"{unclaimed:,}" if unclaimed < _COUNTED else f"{unclaimed:,} or more"
        click.echo(f"{number} requests belong to no task: see 'preceptor tasks discover'")


@tasks.command(epilog="Example: preceptor tasks show arithmetic")
@config_option
@json_option
@click.argument("task")
def show(config: Path | None, as_json: bool, task: str) -> None:
    """One task: configuration, traffic, rule set, where its roll-out stands, the last cycles of the optimizer."""
    settings = settings_of(config)
    section = settings.tasks[known_task(settings, task)]
    with store_of(settings) as store:
        counts = store.counts().get(task, TaskCounts())
        active = store.active().get(task)
        cycles = store.cycles(task, limit=5)
        note = store.note(f"live/{task}")
    live = msgspec.json.decode(note) if note is not None else None
    outcomes = [msgspec.json.decode(cycle.outcome) if cycle.outcome else None for cycle in cycles]
    if as_json:
        print_json(
            {"task": task, "configuration": section, "counts": counts, "rules": active.version if active else None,
             "live": live,
             "cycles": [{"started": cycle.started, "ended": cycle.ended, "outcome": outcome}
                        for cycle, outcome in zip(cycles, outcomes, strict=True)]}
        )  # fmt: skip
        return
    click.echo(f"{task}: {section.weak} (taught by {section.strong}), serves {section.serve}")
    click.echo(f"{counts.exchanges} exchanges, {counts.errors} errors, {counts.feedback} with feedback")
    click.echo(f"active rule set: {active.version if active else 'none'}")
    if live is not None:
        click.echo(f"roll-out, looked at {_when(live['looked'])}:")
        for line in live["lines"]:
            click.echo(f"  {line}")
    for cycle, outcome in zip(cycles, outcomes, strict=True):
        click.echo(
            f"cycle {_when(cycle.started)}: " + (f"{outcome['verdict']}: {outcome['note']}" if outcome else "not ended")
        )


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
