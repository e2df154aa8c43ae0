"""What is told before anything is spent: how many examples, what they can show, and about what it will cost."""

from collections.abc import Sequence

import click

from gateway.settings import Settings
from gateway.store.base import TaskCounts
from optimizer.commands.progress import say
from optimizer.dataset.items import Item, Split
from optimizer.migration.forecast import excludable, expected
from optimizer.migration.money import usd
from optimizer.statistics.paired_test import smallest_detectable

ASK_FROM_USD = 1.0
"""A run that is expected to cost so much is begun on a terminal only when someone says yes."""


def announce(
    settings: Settings,
    task: str,
    parts: Split,
    *,
    given: int,
    counts: TaskCounts,
    untouched: Sequence[Item] = (),
    recorded: int = 0,
    unlabelled: int = 0,
    ask: bool,
) -> None:
    """Say what a run can show and what it may cost; with ``ask`` wait for a yes before a dear one.

    Raises ``click.Abort`` if there is none.
    """
    compared = f", {len(untouched)} or more to compare on" if untouched else ""
    say(
        f"{given} examples: {len(parts.induction)} to learn from, {len(parts.selection)} to rank on,"
        f" {len(parts.confirmation)} to confirm on{compared}; gains from"
        f" {smallest_detectable(len(parts.confirmation)) if parts.confirmation else 1.0:.0%} up can be shown"
    )
    if untouched:
        say(
            f"against the strong model, a loss of {excludable(len(untouched)):.0%} can be ruled out"
            f" (the task's margin is {settings.optimizer.margin:.0%})"
        )
    if unlabelled:
        say(
            f"{unlabelled} of them have no expected answer: {settings.tasks[task].strong!r} answers them first, and"
            " quality then means agreement with it"
        )
    reply = counts.output_tokens / counts.exchanges if counts.output_tokens else None
    found = expected(parts, untouched, settings.tasks[task], settings.models, reply_tokens=reply, recorded=recorded)
    money = "" if found.usd is None else f", {usd(found.usd)}"
    budget = settings.optimizer
    more = f"; if several rules help, up to {found.more:,} answers more to try them one by one" if found.more else ""
    say(
        f"about {found.answers:,} answers and {found.tokens:,} tokens{money}, less what was answered before{more};"
        f" the budget ends it at {budget.budget_calls:,} calls or {budget.budget_tokens:,} tokens"
    )
    if ask and found.usd is not None and found.usd >= ASK_FROM_USD:
        click.confirm(f"Spend about {usd(found.usd)}?", abort=True, err=True)
