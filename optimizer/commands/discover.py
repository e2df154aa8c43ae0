"""``preceptor tasks discover`` and ``adopt``: what comes in that no task is configured for, and making a task of it."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gateway.commands.options import config_option, json_option, print_json, settings_of, store_of
from gateway.domain import Value
from gateway.errors import ConfigurationError, Conflict, NotFound, PreceptorError
from gateway.routing.unclaimed import still_unclaimed
from gateway.settings import Settings, config_path, load
from optimizer.commands.progress import say
from optimizer.discovery.groups import Group, groups
from optimizer.discovery.savings_estimate import SavingsEstimate, estimate_savings
from optimizer.discovery.section import KINDS, grader_for, section, sign
from optimizer.discovery.words import abridged, shortened
from optimizer.migration.money import usd

_SHOWN = 12
"""Groups that a person is shown; ``--json`` has them all."""
_EXAMPLE = 160
"""Characters that are shown of a text."""

last_option = click.option(
    "--last", type=click.IntRange(min=1), default=10_000, show_default=True, help="Requests that are looked at.",
)  # fmt: skip


class UnclaimedTraffic(Value, frozen=True):
    """What was found in the store: the groups of its newest unclaimed requests."""

    looked_at: int
    groups: tuple[Group, ...]


@click.group("tasks")
def tasks() -> None:
    """Find tasks in the log and configure them."""


@tasks.command(epilog="Example: preceptor tasks discover --weak small")
@config_option
@json_option
@last_option
@click.option("--weak", help="Configured model that a saving is told for; default: the cheapest.")
def discover(config: Path | None, as_json: bool, last: int, weak: str | None) -> None:
    """Group the requests that belong to no task: volume, models, cost, and what a smaller model would save."""
    settings = settings_of(config)
    if weak is not None and weak not in settings.models:
        raise NotFound(f"there is no model {weak!r} in the configuration; there are: {', '.join(settings.models)}")
    known = _known(settings, last)
    found = [(group, estimate_savings(group, settings, weak)) for group in known.groups]
    if as_json:
        told = [_object(group, money, known.looked_at) for group, money in found]
        print_json({"looked_at": known.looked_at, "groups": told})
        return
    for group, money in found[:_SHOWN]:
        _print(group, money, known.looked_at)
    if len(found) > _SHOWN:
        rest = sum(len(group.members) for group, _ in found[_SHOWN:])
        click.echo(f"and {len(found) - _SHOWN} smaller groups with {rest:,} requests: see --json\n")
    if not found:
        click.echo("no request without a task is in the log, except those that may not be learnt from")
        return
    click.echo("make a task of one: preceptor tasks adopt GROUP --as NAME --weak MODEL --strong MODEL")


@tasks.command(epilog="Example: preceptor tasks adopt 3f2a91c0 --as tickets --weak small --strong large")
@config_option
@last_option
@click.option("--as", "name", required=True, help="Name of the task.")
@click.option("--weak", required=True, help="Configured model that is to serve it.")
@click.option("--strong", required=True, help="Configured model that serves it until then, and teaches.")
@click.option(
    "--serve", type=click.Choice(["shadow", "strong"]), default="shadow", show_default=True,
    help="Who answers; either way the strong model. shadow: a share is asked of the weak model as well.",
)  # fmt: skip
@click.option("--grader", type=click.Choice(KINDS), help="How replies are compared; default: by how they look.")
@click.argument("group")
def adopt(
    config: Path | None, last: int, name: str, weak: str, strong: str, serve: str, grader: str | None, group: str
) -> None:
    """Append a task for a group of requests to the configuration; nothing else in the file changes."""
    path = config_path(config)
    settings = load(path)
    if name in settings.tasks:
        raise Conflict(f"there is a task {name!r} already: choose another name with --as")
    known = _known(settings, last)
    chosen = next((one for one in known.groups if one.id == group), None)
    if chosen is None:
        raise NotFound(f"there is no group {group!r} in the last {last:,} requests: see 'preceptor tasks discover'")
    found = sign(chosen, [one for one in known.groups if one is not chosen])
    text = section(name, found, weak=weak, strong=strong, serve=serve, grader=grader or grader_for(chosen))
    append(path, text)
    click.echo(text)
    if found.matches:
        say(f"it finds {found.matches:,} of the group's {len(chosen.members):,} requests, and no other that was seen")
    else:
        say(
            "neither model nor instructions tell these requests from others: let the client name the task, as the model"
            f" 'task:{name}' or in the header x-preceptor-task"
        )
    for model in chosen.models:
        if model not in (strong, settings.models[strong].model):
            say(f"callers asked for {model!r}; from now on {strong!r} answers them")
    say(f"appended to {path}; a running gateway reads it by itself; then try: preceptor migrate {name}")


def _known(settings: Settings, last: int) -> UnclaimedTraffic:
    with store_of(settings) as store:
        exchanges = still_unclaimed(store.unclaimed(limit=last), settings.tasks)
    found = groups(exchanges, taken=settings.tasks)
    return UnclaimedTraffic(looked_at=sum(len(one.members) for one in found), groups=tuple(found))


def append(path: Path, text: str) -> None:
    """Add a section to a configuration file, in one step and only if the result is valid.

    What is in the file stays as it is, byte for byte. Raises ``ConfigurationError`` and ``PreceptorError``.
    """
    target = path.resolve()
    try:
        before = target.read_bytes()
        line = b"\r\n" if b"\r\n" in before else b"\n"
        gap = line if not before or before.endswith(b"\n") else 2 * line
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            draft = Path(file.name)
            try:
                file.write(before + gap + text.encode().replace(b"\n", line))
                file.flush()
                os.fsync(file.fileno())
                shutil.copymode(target, draft)
                load(draft)
                draft.replace(target)
            except ConfigurationError as error:
                raise ConfigurationError(str(path), error.mistakes) from error
            finally:
                with contextlib.suppress(FileNotFoundError):
                    draft.unlink()
    except OSError as error:
        raise PreceptorError(f"cannot write {path}: {error.strerror}") from error


def _object(group: Group, money: SavingsEstimate, looked_at: int) -> dict[str, Any]:
    system, question = _example(group)
    return {
        "id": group.id,
        "name": group.name,
        "requests": len(group.members),
        "share": len(group.members) / looked_at,
        "client_models": group.models,
        "tools": group.tools,
        "prompt_tokens": group.usage.prompt_tokens,
        "output_tokens": group.usage.output_tokens,
        "usd": money.usd,
        "unpriced": money.unpriced,
        "first_seen": group.first_seen,
        "last_seen": group.last_seen,
        "calls_per_month": money.savings.calls_per_month,
        "weak": money.weak,
        "saves_usd_per_thousand": money.savings.per_thousand_usd,
        "saves_usd_per_month": money.savings.per_month_usd,
        "template": group.template_text,
        "example": {"system": system, "question": question},
    }


def _example(group: Group) -> tuple[str, str]:
    """The newest request, without its values and shortened."""
    _, shape = group.members[0]
    return shortened(shape.system, _EXAMPLE), shortened(shape.question, _EXAMPLE)


def _print(group: Group, money: SavingsEstimate, looked_at: int) -> None:
    count = len(group.members)
    models = ", ".join(_few(list(group.models)))
    click.echo(f"{group.id}  {group.name}")
    click.echo(
        f"  {count:,} requests ({count / looked_at:.0%}) to {models}, {group.usage.output_tokens:,} output tokens,"
        f" {_day(group.first_seen)} to {_day(group.last_seen)}"
    )
    click.echo(f"  {_money(money)}")
    if group.tools:
        click.echo(f"  tools: {', '.join(_few(group.tools))}")
    system, question = _example(group)
    click.echo(f"  template: {abridged(group.template_text, _EXAMPLE) or '(no text in common)'}")
    if group.instructed:
        click.echo(f"  example: {system}")
    click.echo(f"  question: {question}\n")


def _few(names: Sequence[str]) -> list[str]:
    return [*names[:5], *(["..."] if len(names) > 5 else [])]


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _money(money: SavingsEstimate) -> str:
    if money.usd is None:
        return f"cost unknown: no price is configured for {', '.join(_few(money.unpriced))}"
    saved = money.savings
    told = f"cost {usd(money.usd)}"
    if money.weak is None or saved.per_thousand_usd is None:
        return f"{told}; no other model that has a price costs less"
    told += f"; {money.weak} would save {usd(saved.per_thousand_usd)} per thousand calls"
    if saved.per_month_usd is None or saved.calls_per_month is None:
        return f"{told} (what a month has is not known before the log spans a day)"
    return f"{told}, {usd(saved.per_month_usd)} a month at {saved.calls_per_month:,.0f} calls"
