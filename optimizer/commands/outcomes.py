"""Print an outcome: one object for scripts, a few lines for people."""

from typing import NoReturn

import click

from gateway.commands.options import print_json
from optimizer.commands.workbench import unfinished
from optimizer.distillation.outcome import Outcome
from optimizer.report.distilled import caveats_of


def print_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print the outcome of a distillation or a verification."""
    if as_json:
        print_json(outcome)
        return
    low, high = outcome.interval
    click.echo(f"{outcome.task}: {outcome.verdict}. {outcome.note}")
    if outcome.items_used:
        click.echo(
            f"  {outcome.before.accuracy:.1%} -> {outcome.after.accuracy:.1%} on {outcome.items_used} items"
            f" (95% interval of the change {low:+.1%} to {high:+.1%}, p = {outcome.p_value:.2g}),"
            f" {outcome.fixed} fixed, {outcome.broken} broken; output tokens {outcome.before.output_tokens:.0f} ->"
            f" {outcome.after.output_tokens:.0f} per reply"
        )
    for caveat in caveats_of(outcome):
        click.echo(f"  {caveat}")
    click.echo(f"  scratchpad {outcome.scratchpad}, {len(outcome.rules)} rules; {outcome.calls} calls paid")
    for rule in outcome.rules:
        click.echo(f"  - {rule.text}")
    for rejected in outcome.rejected:
        click.echo(f"  not taken: {rejected.what} ({rejected.why})")


def cut_short(outcome: Outcome, as_json: bool, *, stopped: bool) -> NoReturn:
    """End a command with an unfinished run: the object for scripts, and for people the way to continue."""
    if as_json:
        print_json(outcome)
    unfinished(outcome.note, stopped=stopped)
