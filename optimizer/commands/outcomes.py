"""An outcome on stdout: one object for scripts, a few lines for people."""

import click

from gateway.commands.options import print_json
from optimizer.outcome import Outcome


def print_outcome(outcome: Outcome, as_json: bool) -> None:
    """What came of a distillation or a verification."""
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
    click.echo(f"  scratchpad {outcome.scratchpad}, {len(outcome.rules)} rules; {outcome.calls} calls paid")
    for rule in outcome.rules:
        click.echo(f"  - {rule.text}")
    for rejected in outcome.rejected:
        click.echo(f"  not taken: {rejected.what} ({rejected.why})")
