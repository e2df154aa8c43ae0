"""``preceptor promises``: per version the promised gain, the gain measured since, and the verdict."""

from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, known_task, print_json, settings_of, store_of
from optimizer.monitoring.rollout.promises import PROMISES, describe


@click.command(epilog="Example: preceptor promises arithmetic")
@config_option
@json_option
@click.argument("task")
def promises(config: Path | None, as_json: bool, task: str) -> None:
    """Compare each version's promise with traffic.

    A version promises the gain of its verification. The hold-back and the roll-out measure it in traffic: the promise
    holds, is exceeded, is broken, or too little was seen.
    """
    settings = settings_of(config)
    known_task(settings, task)
    with store_of(settings) as store:
        ledger = PROMISES.read(store, task) or ()
    if as_json:
        versions = [{**msgspec.to_builtins(entry), "covered": entry.covered} for entry in ledger]
        print_json({"task": task, "versions": versions})
        return
    for entry in ledger:
        click.echo(describe(entry))
    if not ledger:
        click.echo(f"no version of {task!r} with evidence was live or on trial yet")
