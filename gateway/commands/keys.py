"""``preceptor keys``: keys for clients. Only their hashes are ever stored; a secret is shown once."""

import secrets
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway import issued_keys
from gateway.auth import new_key
from gateway.commands.options import config_option, json_option, print_json, settings_of, store_of
from gateway.issued_keys import IssuedKey
from gateway.litellm.toml import changed_settings, table
from gateway.settings.base import Name
from gateway.settings.keys import Key, digest
from gateway.settings.quotas import Budget, Limits


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke keys for clients."""


def _checked(name: str) -> str:
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise click.BadParameter("a name has letters, digits and . _ : / - only", param_hint="NAME") from None


@keys.command(epilog="Example: preceptor keys new team-a --budget 50 >> preceptor.toml")
@config_option
@json_option
@click.option("--store", "stored", is_flag=True, help="Keep the hash in the store: in effect within a second.")
@click.option("--owner", default="", help="Team or person behind the key.")
@click.option("--role", type=click.Choice(["use", "read", "approve", "admin"]), default="use", show_default=True)
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="Last day of the key, in UTC.")
@click.option("--task", "tasks", multiple=True, help="Task open to the key; may be repeated. Default: all.")
@click.option("--model", "models", multiple=True, help="Model open to the key; may be repeated. Default: all.")
@click.option("--requests-per-minute", type=click.IntRange(1), help="Requests begun in any 60 seconds.")
@click.option("--tokens-per-minute", type=click.IntRange(1), help="Tokens in any 60 seconds, prompt and output.")
@click.option("--concurrent", type=click.IntRange(1), help="Requests under way at once.")
@click.option("--budget", "usd", type=click.FloatRange(0, 1e9, min_open=True), help="US dollars in a period.")
@click.option("--per", type=click.Choice(["day", "month"]), default="month", show_default=True, help="The period.")
@click.option(
    "--then", type=click.Choice(["refuse", "warn"]), default="refuse", show_default=True,
    help="When the budget is spent.",
)  # fmt: skip
@click.argument("name")
def new(config: Path | None, as_json: bool, stored: bool, name: str, **given: Any) -> None:
    """Make a key. Prints the key once, to stderr, and its section for the configuration to stdout.

    With --store no section is needed.
    """
    _checked(name)
    secret = new_key(secrets.token_bytes(32))
    fields = {field: value or None for field, value in given.items() if field in ("tasks", "models")}
    expires = None if given["expires"] is None else given["expires"].date()
    about = {"owner": given["owner"], "role": given["role"], "expires": expires, **fields}
    about["limits"] = Limits(**{field: given[field] for field in Limits.__struct_fields__})
    about["budget"] = _budget(given)
    if stored:
        settings = settings_of(config)
        with store_of(settings) as store:
            key = IssuedKey(hash=digest(secret), made=time.time(), **about)
            issued_keys.issue(store, name, key, settings.keys)
    if as_json:
        print_json({"name": name, "key": secret, "hash": digest(secret)})
        return
    click.echo(f"the key, shown only now: {secret}", err=True)
    if not stored:
        section = Key(hash=digest(secret), **about)
        click.echo("\n" + table(("keys", name), changed_settings(section)), nl=False)


def _budget(given: dict[str, Any]) -> Budget | None:
    return None if given["usd"] is None else Budget(usd=given["usd"], per=given["per"], then=given["then"])


@keys.command("list", epilog="Example: preceptor keys list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:
    """List every key with owner, role and state."""
    settings = settings_of(config)
    with store_of(settings) as store:
        rows = issued_keys.listed(settings.keys, issued_keys.read(store), time.time())
    if as_json:
        print_json({"keys": rows})
        return
    for row in rows:
        until = f" until {row['expires']}" if row["expires"] else ""
        owner = f"  {row['owner']}" if row["owner"] else ""
        click.echo(f"{row['name']:<24} {row['role']:<8} {row['state']}{until}  ({row['kept_in']}){owner}")
    if not rows:
        click.echo("no keys: everybody with access to the port may use the gateway")


@keys.command(epilog="Example: preceptor keys rotate team-a --keep-days 7")
@config_option
@json_option
@click.option(
    "--keep-days", type=click.IntRange(0, 3650), default=7, show_default=True,
    help="Days after today in which the old secret is right as well.",
)  # fmt: skip
@click.argument("name")
def rotate(config: Path | None, as_json: bool, keep_days: int, name: str) -> None:
    """Give a key a new secret. Prints it once, to stderr; the old one stays right for a while.

    For a key of the configuration, the lines to change there go to stdout.
    """
    settings, now = settings_of(config), time.time()
    until, random = issued_keys.day_after(now, keep_days), secrets.token_bytes(32)
    configured = settings.keys.get(name)
    if configured is None:
        with store_of(settings) as store:
            secret = issued_keys.rotate(store, name, random, old_until=until, now=now)
    else:
        secret = new_key(random)
    if as_json:
        print_json({"name": name, "key": secret, "hash": digest(secret), "old_until": until.isoformat()})
        return
    click.echo(f"the key, shown only now: {secret}", err=True)
    click.echo(f"the old secret is right until the end of {until} (UTC)", err=True)
    if configured is not None:
        section = msgspec.structs.replace(configured, hash=digest(secret), old_hash=configured.hash, old_until=until)
        click.echo(table(("keys", name), changed_settings(section)), nl=False)


@keys.command(epilog="Example: preceptor keys revoke team-a")
@config_option
@click.argument("name")
def revoke(config: Path | None, name: str) -> None:
    """End a key for good, within a second and without a restart. Its requests under way may end."""
    settings = settings_of(config)
    with store_of(settings) as store:
        issued_keys.revoke(store, name, settings.keys, now=time.time())
    click.echo(f"{name} is revoked; gateways on this store follow within a second")
