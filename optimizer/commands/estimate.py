"""Announce a run before anything is spent: number of examples, smallest gain to be shown, approximate cost."""

from collections.abc import Sequence

import click

from gateway.settings import Settings
from gateway.store.base import TaskCounts
from optimizer.commands.progress import say
from optimizer.dataset.items import Item
from optimizer.dataset.split import Split
from optimizer.distillation.plan import forecast
from optimizer.migration.forecast import excludable, expected
from optimizer.migration.money import usd
from optimizer.statistics.paired_test import LEVEL

ASK_FROM_USD = 1.0
"""Expected cost in USD from which a run on a terminal asks for a confirmation."""


def announce(
    settings: Settings,
    task: str,
    parts: Split,
    *,
    given: int,
    counts: TaskCounts,
    untouched: Sequence[Item] = (),
    strong: Sequence[Item] = (),
    unlabelled: int = 0,
    level: float = LEVEL,
    ask: bool,
) -> None:
    """Print the resolution and the cost of a run; with ``ask``, request a confirmation for an expensive run.

    Raises ``click.Abort`` if it is denied.
    """
    compared = f", {len(untouched)} or more to compare on" if untouched else ""
    say(
        f"{given} examples: {len(parts.induction)} to learn from, {len(parts.selection)} to rank on,"
        f" {len(parts.confirmation)} to confirm on{compared}; gains from"
        f" {forecast(parts, level).detectable:.0%} up can be shown"
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
    cost = expected(parts, untouched, settings.tasks[task], settings.models, reply_tokens=reply, strong=strong)
    money = "" if cost.usd is None else f", {usd(cost.usd)}"
    budget = settings.optimizer
    more = f"; if several rules help, up to {cost.more:,} answers more to try them one by one" if cost.more else ""
    say(
        f"about {cost.answers:,} answers and {cost.tokens:,} tokens{money}, less earlier answers in the cache{more};"
        f" the budget ends it at {budget.budget_calls:,} calls or {budget.budget_tokens:,} tokens"
    )
    if ask and cost.usd is not None and cost.usd >= ASK_FROM_USD:
        click.confirm(f"Spend about {usd(cost.usd)}?", abort=True, err=True)
