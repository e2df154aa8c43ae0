"""``preceptor tasks show``: one task with its traffic, rules, roll-out and learning, in plain words."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.commands.options import config_option, json_option, known_task, print_json, settings_of, store_of
from gateway.domain import RuleSet
from gateway.label_queue import QUEUE_S, describe, summarize
from gateway.store.base import TaskCounts
from gateway.store.notes import ROLLOUT
from optimizer.commands.outcomes import verbose_option
from optimizer.distillation.outcome import Outcome
from optimizer.monitoring.shadow.telling import TELLING, TellingBook
from optimizer.report.summary import headline, statistics

_CYCLES = 5
"""Newest cycles in the listing."""
_AUDITED = 10_000
"""Audited exchanges whose labels are counted."""


@click.command(epilog="Example: preceptor tasks show arithmetic")
@config_option
@json_option
@verbose_option
@click.argument("task")
def show(config: Path | None, as_json: bool, verbose: bool, task: str) -> None:
    """Show one task.

    Its models, traffic, active rules, roll-out, and the last cycles of the optimizer.
    """
    settings = settings_of(config)
    section = settings.tasks[known_task(settings, task)]
    with store_of(settings) as store:
        counts = store.counts().get(task, TaskCounts())
        active = store.active().get(task)
        cycles = store.cycles(task, limit=_CYCLES)
        labels = summarize(store.audited(task, since=time.time() - QUEUE_S, limit=_AUDITED))
        telling = TELLING.read(store, task) or TellingBook()
        view, rollout = ROLLOUT.read(store, task), ROLLOUT.json(store, task)
    if as_json:
        print_json(
            {"task": task, "configuration": section, "counts": counts, "rules": active.version if active else None,
             "live": rollout,
             "labels": {**msgspec.to_builtins(labels), "right": labels.right, "interval": labels.interval},
             "cycles": [
                 {"started": cycle.started, "ended": cycle.ended,
                  "outcome": msgspec.json.decode(cycle.outcome) if cycle.outcome else None}
                 for cycle in cycles
             ]}
        )  # fmt: skip
        return
    click.echo(f"{task}: {section.weak} (taught by {section.strong}), serves {section.serve}")
    click.echo(f"traffic: {counts.exchanges} exchanges, {counts.errors} errors, {counts.feedback} with feedback")
    click.echo(f"active rules: {_rules(active)}")
    for line in [*describe(labels, task), *telling.lines()]:
        click.echo(f"labels: {line}")
    if view is not None:
        click.echo(f"roll-out, looked at {_when(view.looked)}:")
        for line in view.lines:
            click.echo(f"  {line}")
    for cycle in cycles:
        summary, details = _summary(cycle.outcome)
        click.echo(f"cycle {_when(cycle.started)}: {summary}")
        for line in details if verbose else ():
            click.echo(f"  {line}")


def _rules(active: RuleSet | None) -> str:
    if active is None:
        return "none"
    evidence = active.evidence
    if evidence is None or not evidence.items_used:
        return f"version {active.version}, never tested by the gate"
    return (
        f"version {active.version}: right answers {evidence.before.accuracy:.0%} -> {evidence.after.accuracy:.0%}"
        f" on {evidence.items_used} unseen examples"
    )


def _summary(outcome: bytes | None) -> tuple[str, list[str]]:
    """Return a stored outcome in one line, and its statistics. An outcome of an older format shows its note."""
    if not outcome:
        return "not ended", []
    try:
        decoded = msgspec.json.decode(outcome, type=Outcome)
    except msgspec.ValidationError:
        older: dict[str, Any] = msgspec.json.decode(outcome)
        return f"{older.get('verdict', 'cannot tell')}: {older.get('note', '')}", []
    return headline(decoded), statistics(decoded)


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
