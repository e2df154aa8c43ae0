"""``preceptor rules``: the rule sets of a task, and the decisions to make them live."""

import time
from pathlib import Path

import click
import msgspec

from gateway.commands.options import config_option, json_option, known_task, print_json, settings_of, store_of
from gateway.rules.cache_cost import cost_of_swap
from gateway.rules.decisions import (
    describe,
    put_live,
    roll_back,
    served_by_both,
    set_share,
    switch_injection,
    version_name,
)
from gateway.rules.files import to_dict
from gateway.rules.in_words import lines_of, parts_in_words
from gateway.rules.plain_text import injected_text
from gateway.rules.versions import difference, gain, get_version
from gateway.settings import Settings
from gateway.store.base import Store

_BY = "command line"


@click.group()
def rules() -> None:
    """List, compare, import, export, activate and roll back rule sets."""


def _swap_cost(store: Store, settings: Settings, task: str) -> str:
    price = settings.models[settings.tasks[task].weak].price
    return cost_of_swap(store, task, price, now=time.time()).sentence()


@rules.command("list", epilog="Example: preceptor rules list arithmetic")
@config_option
@json_option
@click.argument("task")
def list_(config: Path | None, as_json: bool, task: str) -> None:
    """All versions of a task, the active one marked."""
    settings = settings_of(config)
    with store_of(settings) as store:
        versions = store.rule_sets(known_task(settings, task))
        active = store.active().get(task)
    if as_json:
        print_json({"task": task, "active": active.version if active else None, "rule_sets": versions})
        return
    for rule_set in versions:
        mark = "*" if active is not None and active.version == rule_set.version else " "
        click.echo(
            f"{mark} {rule_set.version:>3}  {parts_in_words(rule_set)}  {rule_set.decided_by:<8} {gain(rule_set)}"
        )
    if not versions:
        click.echo(f"task {task!r} has no rule sets yet")
    elif active is None:
        click.echo("none is active: requests go out without rules")


@rules.command(epilog="Example: preceptor rules show arithmetic 2")
@config_option
@json_option
@click.argument("task")
@click.argument("version", type=int, required=False)
def show(config: Path | None, as_json: bool, task: str, version: int | None) -> None:
    """A version (default: the active one) with its evidence."""
    settings = settings_of(config)
    with store_of(settings) as store:
        rule_set = get_version(store, known_task(settings, task), version)
        live = store.active().get(task)
        cost = _swap_cost(store, settings, task)
    if as_json:
        print_json(to_dict(rule_set))
        return
    click.echo(f"{task} version {rule_set.version}, scratchpad {rule_set.scratchpad}, by {rule_set.decided_by}")
    click.echo(gain(rule_set))
    if live is None or live.version != rule_set.version:
        click.echo(f"if made live now: {cost}")
    for rule in rule_set.rules:
        condition = f"  (only when {rule.when})" if rule.when else ""
        click.echo(f"- {rule.text}{condition}" + (f"\n    because: {rule.reason}" if rule.reason else ""))
    for line in lines_of(msgspec.structs.replace(rule_set, rules=()))[1:]:
        click.echo(line)


@rules.command(epilog="Example: preceptor rules diff arithmetic 1 2")
@config_option
@click.argument("task")
@click.argument("a", type=int)
@click.argument("b", type=int)
def diff(config: Path | None, task: str, a: int, b: int) -> None:
    """Compare two versions."""
    settings = settings_of(config)
    with store_of(settings) as store:
        old, new = (get_version(store, known_task(settings, task), version) for version in (a, b))
    for line in difference(old, new) or [f"{version_name(a)} and {version_name(b)} are the same"]:
        click.echo(line)


@rules.command(epilog="Example: preceptor rules export arithmetic 2 > rules.json")
@config_option
@click.argument("task")
@click.argument("version", type=int, required=False)
@click.option("--text", "as_text", is_flag=True, help="Write the text that is injected, instead of JSON.")
def export(config: Path | None, task: str, version: int | None, as_text: bool) -> None:
    """Write a version as JSON or text.

    Without a version: the active one.
    """
    settings = settings_of(config)
    with store_of(settings) as store:
        rule_set = get_version(store, known_task(settings, task), version)
    if as_text:
        click.echo(injected_text(rule_set))
        if rule_set.examples or rule_set.worksheet is not None:
            click.echo(f"preceptor: rules only, of {parts_in_words(rule_set)}; all of it without --text", err=True)
        conditional = sum(bool(rule.when) for rule in rule_set.rules)
        if conditional:
            click.echo(f"preceptor: {conditional} of these rules are sent under their condition only", err=True)
        return
    click.echo(msgspec.json.format(msgspec.json.encode(to_dict(rule_set)), indent=2))


@rules.command(epilog="Example: preceptor rules activate arithmetic 2")
@config_option
@click.argument("task")
@click.argument("version")
def activate(config: Path | None, task: str, version: str) -> None:
    """Make a version live (or 'none': no rules). A running gateway follows within a second."""
    if version != "none" and not version.isdigit():
        raise click.BadParameter(f"{version!r} is neither a version nor 'none'", param_hint="VERSION")
    number = None if version == "none" else int(version)
    settings = settings_of(config)
    with store_of(settings) as store:
        cost = _swap_cost(store, settings, known_task(settings, task))
        put_live(store, task, number, now=time.time(), by=_BY, why="activated by hand")
    click.echo(f"{task}: {version_name(number)} {'are' if number is None else 'is'} live")
    click.echo(f"prompt cache: {cost}")


@rules.command(epilog="Example: preceptor rules rollback arithmetic")
@config_option
@click.argument("task")
def rollback(config: Path | None, task: str) -> None:
    """End a trial, or return to the version before.

    Without a trial under way, the version that was live before becomes live again.
    """
    settings = settings_of(config)
    with store_of(settings) as store:
        cost = _swap_cost(store, settings, known_task(settings, task))
        done = roll_back(store, task, now=time.time(), by=_BY)
    click.echo(f"{task}: rolled back, {describe(done)}")
    click.echo(f"prompt cache: {cost}")


@rules.command(epilog="Example: preceptor rules history arithmetic")
@config_option
@click.argument("task")
def history(config: Path | None, task: str) -> None:
    """List the decisions about a task, with their reasons."""
    settings = settings_of(config)
    with store_of(settings) as store:
        entries = store.history(known_task(settings, task))
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.created))
        click.echo(f"{when}  {describe(entry):<28} {entry.by}: {entry.why}")


@rules.command(epilog="Example: preceptor rules share arithmetic 0.25")
@config_option
@click.argument("task")
@click.argument("share", type=click.FloatRange(0, 1))
def share(config: Path | None, task: str, share: float) -> None:
    """Set the weak model's share of the conversations.

    For tasks served by both models (serve = "canary").
    """
    settings = settings_of(config)
    served_by_both(known_task(settings, task), settings.tasks[task].serve)
    with store_of(settings) as store:
        done = set_share(store, task, share, now=time.time(), by=_BY, why="set by hand")
    click.echo(f"{task}: {describe(done)}")


@rules.command(epilog="Example: preceptor rules injection off")
@config_option
@click.argument("state", type=click.Choice(["on", "off"]))
def injection(config: Path | None, state: str) -> None:
    """Kill switch: stop injecting rules for every task.

    'off' stops injection for every task until 'on'.
    """
    with store_of(settings_of(config)) as store:
        switch_injection(store, state == "on", now=time.time(), by=_BY)
    click.echo(f"injection is {state} for every task")
