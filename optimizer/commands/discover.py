"""``preceptor tasks discover`` and ``adopt``: list the traffic without a task, and make a task of a group."""

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
"""Most groups in a listing for people; ``--json`` has them all."""
_EXAMPLE = 160
"""Most characters of a text in a listing."""

last_option = click.option(
    "--last", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of newest requests to read.",
)  # fmt: skip


class UnclaimedTraffic(Value, frozen=True):
    """The newest requests without a task, in groups."""

    looked_at: int
    groups: tuple[Group, ...]


@click.command(epilog="Example: preceptor tasks discover --weak small")
@config_option
@json_option
@last_option
@click.option("--weak", help="Configured model to estimate savings for; default: the cheapest.")
def discover(config: Path | None, as_json: bool, last: int, weak: str | None) -> None:
    """Group the requests without a task.

    Lists volume, models and cost of each group, and estimates the savings of a smaller model.
    """
    settings = settings_of(config)
    if weak is not None and weak not in settings.models:
        raise NotFound(f"there is no model {weak!r} in the configuration; there are: {', '.join(settings.models)}")
    traffic = _unclaimed(settings, last)
    priced = [(group, estimate_savings(group, settings, weak)) for group in traffic.groups]
    if as_json:
        objects = [_object(group, money, traffic.looked_at) for group, money in priced]
        print_json({"looked_at": traffic.looked_at, "groups": objects})
        return
    for group, money in priced[:_SHOWN]:
        _print(group, money, traffic.looked_at)
    if len(priced) > _SHOWN:
        rest = sum(len(group.members) for group, _ in priced[_SHOWN:])
        click.echo(f"and {len(priced) - _SHOWN} smaller groups with {rest:,} requests: see --json\n")
    if not priced:
        click.echo("the log holds no request without a task, except those that may not be learnt from")
        return
    click.echo("make a task of one: preceptor tasks adopt GROUP --as NAME --weak MODEL --strong MODEL")


@click.command(epilog="Example: preceptor tasks adopt 3f2a91c0 --as tickets --weak small --strong large")
@config_option
@last_option
@click.option("--as", "name", required=True, help="Name of the task.")
@click.option("--weak", required=True, help="Configured model to serve the task later.")
@click.option("--strong", required=True, help="Configured model to serve the task until then, and to teach.")
@click.option(
    "--serve", type=click.Choice(["shadow", "strong"]), default="shadow", show_default=True,
    help="Either way the strong model answers; with shadow, the weak model is asked a share in the background.",
)  # fmt: skip
@click.option("--grader", type=click.Choice(KINDS), help="How to compare replies; default: a proposal by their form.")
@click.argument("group")
def adopt(
    config: Path | None, last: int, name: str, weak: str, strong: str, serve: str, grader: str | None, group: str
) -> None:
    """Make a task of a group of requests.

    Appends a section to the configuration; nothing else in the file changes.
    """
    path = config_path(config)
    settings = load(path)
    if name in settings.tasks:
        raise Conflict(f"there is a task {name!r} already: choose another name with --as")
    kinds = _unclaimed(settings, last).groups
    chosen = next((kind for kind in kinds if kind.id == group), None)
    if chosen is None:
        raise NotFound(f"there is no group {group!r} in the last {last:,} requests: see 'preceptor tasks discover'")
    match_by = sign(chosen, [kind for kind in kinds if kind is not chosen])
    text = section(name, match_by, weak=weak, strong=strong, serve=serve, grader=grader or grader_for(chosen))
    append(path, text)
    click.echo(text)
    if match_by.matches:
        say(f"it matches {match_by.matches:,} of the group's {len(chosen.members):,} requests, and no other in the log")
    else:
        say(
            "neither model nor instructions separate these requests from others: let the client name the task, as the"
            f" model 'task:{name}' or in the header x-preceptor-task"
        )
    for model in chosen.models:
        if model not in (strong, settings.models[strong].model):
            say(f"callers asked for {model!r}; from now on {strong!r} answers them")
    say(f"appended to {path}; a running gateway reads it by itself; then try: preceptor migrate {name}")


def _unclaimed(settings: Settings, last: int) -> UnclaimedTraffic:
    with store_of(settings) as store:
        exchanges = still_unclaimed(store.unclaimed(limit=last), settings.tasks)
    kinds = groups(exchanges, taken=settings.tasks)
    return UnclaimedTraffic(looked_at=sum(len(kind.members) for kind in kinds), groups=tuple(kinds))


def append(path: Path, text: str) -> None:
    """Add a section to a configuration file, in one step and only if the result is valid.

    The old content stays byte for byte. Raises ``ConfigurationError`` and ``PreceptorError``.
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
        "varying_tools": group.varying_tools,
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
    """Return instructions and question of the newest request, without values and shortened."""
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
    if group.varying_tools:
        click.echo(f"  varying tools ({len(group.varying_tools)}): {', '.join(_few(group.varying_tools))}")
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
    line = f"cost {usd(money.usd)}"
    if money.weak is None or saved.per_thousand_usd is None:
        return f"{line}; no other model with a price costs less"
    line += f"; {money.weak} would save {usd(saved.per_thousand_usd)} per thousand calls"
    if saved.per_month_usd is None or saved.calls_per_month is None:
        return f"{line} (per month: not known before the log spans a day)"
    return f"{line}, {usd(saved.per_month_usd)} a month at {saved.calls_per_month:,.0f} calls"
