"""Print an outcome: one object for scripts; for people plain words first, statistics with ``--verbose``."""

from typing import NoReturn

import click
import msgspec

from gateway.commands.options import print_json
from gateway.rules.in_words import worksheet_lines
from optimizer.commands.workbench import unfinished
from optimizer.distillation.outcome import Outcome
from optimizer.report.distilled import learnt
from optimizer.report.summary import effects, headline, statistics

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show the statistics behind the plain words.")


def print_outcome(outcome: Outcome, as_json: bool, *, verbose: bool = False) -> None:
    """Print the outcome of a distillation or a verification."""
    if as_json:
        print_json({**msgspec.to_builtins(outcome), "form": outcome.scratchpad})
        return
    click.echo(f"{outcome.task}: {headline(outcome)}")
    if outcome.items_used:
        low, high = outcome.promised.interval if outcome.promised else outcome.interval
        promise = f"promised: {100 * outcome.promised.gain:+.0f} points; " if outcome.promised else ""
        click.echo(
            f"  {promise}the true change lies between {100 * low:+.0f} and {100 * high:+.0f} points (95% interval);"
            f" {outcome.before.output_tokens:.0f} -> {outcome.after.output_tokens:.0f} output tokens per reply"
        )
    if parts := effects(outcome):
        click.echo(f"  by part: {parts}")
    for line in statistics(outcome) if verbose else ():
        click.echo(f"  {line}")
    click.echo(f"  {learnt(outcome)}; {outcome.calls} calls paid")
    for line in outcome.provider:
        click.echo(f"  {line}")
    for rule in outcome.rules:
        click.echo(f"  - {rule.text}" + (f"  (only when {rule.when})" if rule.when else ""))
    for line in worksheet_lines(outcome.worksheet) if outcome.worksheet is not None else ():
        click.echo(f"  {line}")
    for rejected in outcome.rejected:
        click.echo(f"  not taken: {rejected.what} ({rejected.why})")


def cut_short(outcome: Outcome, as_json: bool, *, stopped: bool) -> NoReturn:
    """End a command with an unfinished run: the object for scripts, and for people the way to continue."""
    if as_json:
        print_json(outcome)
    unfinished(outcome.note, stopped=stopped)
