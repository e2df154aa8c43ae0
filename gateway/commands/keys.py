"""``preceptor keys``: keys for clients. Only their hashes are ever stored."""

import secrets

import click
import msgspec

from gateway.auth import new_key
from gateway.commands.options import json_option, print_json
from gateway.litellm.toml import table
from gateway.settings.base import Name
from gateway.settings.keys import digest


@click.group()
def keys() -> None:
    """Make keys for clients."""


@keys.command(epilog="Example: preceptor keys new team-a >> preceptor.toml")
@json_option
@click.argument("name")
def new(as_json: bool, name: str) -> None:
    """Make a key. Prints the key once, to stderr, and its section for the configuration to stdout."""
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise click.BadParameter("a name has letters, digits and . _ : / - only", param_hint="NAME") from None
    key = new_key(secrets.token_bytes(32))
    if as_json:
        print_json({"name": name, "key": key, "hash": digest(key)})
        return
    click.echo(f"the key, shown only now: {key}", err=True)
    click.echo("\n" + table(("keys", name), {"hash": digest(key)}), nl=False)
