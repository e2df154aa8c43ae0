"""``preceptor spend``: money by key, owner, task, arm or model."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import click

from gateway import issued_keys
from gateway.commands.options import config_option, json_option, print_json, settings_of, store_of
from gateway.spending.book import day_of
from gateway.spending.report import BY, SpentLine, lines, read_days, total


@click.command(epilog="Example: preceptor spend --by task --days 30")
@config_option
@json_option
@click.option("--by", type=click.Choice(BY), default="key", show_default=True, help="The name of a line.")
@click.option("--key", help="Only this key.")
@click.option("--task", help="Only this task.")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="Days, today included, UTC.")
def spend(config: Path | None, as_json: bool, by: Any, key: str | None, task: str | None, days: int) -> None:
    """Show money spent and saved, by key, task or model.

    Saved: the strong model's price for the weak model's tokens less what was spent, learning included.
    """
    settings, today = settings_of(config), day_of(time.time())
    first = (dt.date.fromisoformat(today) - dt.timedelta(days=days - 1)).isoformat()
    with store_of(settings) as store:
        owners = issued_keys.owners(settings.keys, issued_keys.read(store))
        made = lines(read_days(store, first, today), by, owners, key=key, task=task)
    if as_json:
        print_json({"from": first, "until": today, "by": by, "lines": made, "total": total(made)})
        return
    click.echo(f"{by:<24} {'requests':>9} {'tokens':>12} {'USD':>12} {'saved USD':>12}   {first} until {today}")
    for line in (*made, total(made)):
        click.echo(_text(line))


def _text(line: SpentLine) -> str:
    tokens = line.prompt_tokens + line.output_tokens
    return f"{line.name or '-':<24} {line.requests:>9} {tokens:>12} {line.usd:>12.4f} {line.saved_usd:>12.4f}"
