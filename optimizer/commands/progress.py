"""Show the progress of a command: lines and bars on stderr, bars on a terminal only."""

import sys
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.settings import Model
from optimizer.evaluation.budget import Ledger
from optimizer.migration.money import cost_of, usd


class Bars:
    """One bar per stage, and the cost of the run so far. Implements ``evaluator.Progress``."""

    def __init__(self, models: Mapping[str, Model] | None = None) -> None:
        columns = (
            TextColumn("{task.description:>16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[paid]}"),
        )  # fmt: skip
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._bars: dict[str, Any] = {}
        self._models = models or {}
        self._ledger: Ledger | None = None

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._bars:
            for earlier in self._bars.values():
                self._progress.update(earlier, paid="")
            self._bars[stage] = self._progress.add_task(stage, paid="")
        self._progress.update(self._bars[stage], completed=done, total=total, paid=self.paid())

    def follow(self, ledger: Ledger) -> None:
        """Show the counts of this ledger."""
        self._ledger = ledger

    def paid(self) -> str:
        """Return calls, tokens and money so far, in a few words."""
        if self._ledger is None:
            return ""
        money = cost_of(self._ledger.used, self._models)
        amount = f"{self._ledger.calls:,} calls paid, {self._ledger.tokens:,} tokens"
        return amount if money is None else f"{amount}; {usd(money)} of answers"


def on_terminal() -> bool:
    """Decide whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def say(line: str) -> None:
    """Print one line for people, beside the output."""
    click.echo(line, err=True)
