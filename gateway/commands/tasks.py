"""``preceptor tasks``: list the configured tasks. The optimizer adds ``show``, ``discover`` and ``adopt``."""

from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, print_json, settings_of, store_of
from gateway.routing.unclaimed import still_unclaimed
from gateway.store.base import TaskCounts

_COUNTED = 1_000
"""Most requests without a task to count."""
_MENTION_FROM = 20
"""Fewest requests without a task to mention."""


@click.group()
def tasks() -> None:
    """List, show, find and configure tasks."""


@tasks.command("list", epilog="Example: preceptor tasks list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:
    """List the tasks with traffic and active rules."""
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
    if unclaimed >= _MENTION_FROM:
        number = f"{unclaimed:,}" if unclaimed < _COUNTED else f"{unclaimed:,} or more"
        click.echo(f"{number} requests belong to no task: see 'preceptor tasks discover'")
