"""``preceptor audit``: who did what to keys, rules, roll-outs and the configuration."""

import datetime as dt
from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, settings_of, store_of
from gateway.store import trail


@click.command(epilog="Example: preceptor audit --verify")
@config_option
@json_option
@click.option("--verify", is_flag=True, help="Check that no entry was changed, removed or put in between.")
def audit(config: Path | None, as_json: bool, verify: bool) -> None:
    """Show the audit log, oldest entry first.

    Each entry holds the hash of the one before it. --verify checks them all and prints the last hash: keep it elsewhere
    to see later that nobody wrote the log anew. --json prints the entries as JSON lines.
    """
    with store_of(settings_of(config)) as store:
        if verify:
            number, last = trail.verify(store)
            click.echo(f"{number:,} entries, unbroken; the last hash is {last}")
            return
        for deed in trail.deeds(store):
            if as_json:
                click.echo(msgspec.json.encode(deed).decode())
            else:
                at = dt.datetime.fromtimestamp(deed.at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
                why = f" ({deed.why})" if deed.why else ""
                click.echo(f"{deed.number:>6}  {at}  {deed.by}: {deed.what}: {deed.subject}{why}")
