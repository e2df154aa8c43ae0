"""``distill``, ``eval``, ``verify``, ``optimize`` and ``demo``: the loop from the shell."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway import logs
from gateway.app import build_services, running
from gateway.commands.options import config_option, json_option, known_task, print_json, settings_of, store_of
from gateway.domain import RuleSet
from gateway.errors import NotFound, PreceptorError
from gateway.rules.files import read_rule_set
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.store.sql import SqlStore
from optimizer.confirm import measure, verify
from optimizer.items import Examples, load_jsonl
from optimizer.learner import Learner, learner
from optimizer.outcome import Outcome, forecast, plan_for
from optimizer.schedule import look, scheduled
from optimizer.served import ServedModel

Result = TypeVar("Result")
data_option = click.option(
    "--data", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSONL file: {"input": "text" | "messages": [...], "expected": ...} on each line.',
)  # fmt: skip


@click.command(epilog="Example: preceptor distill arithmetic --data examples.jsonl --activate")
@config_option
@json_option
@data_option
@click.option("--activate", is_flag=True, help="Make the rule set live if it passes the gate.")
@click.argument("task")
def distill(config: Path | None, as_json: bool, data: Path, activate: bool, task: str) -> None:
    """Learn rules from a data file: mistakes, rules, proof. Interrupted, it goes on where it was."""
    settings = _narrowed(settings_of(config), task)
    examples = _load(data, settings, task)

    async def work(services: Services, teacher: Learner, progress: "_Bars") -> Outcome:
        store = services.store
        plan = plan_for(task, examples, incumbent=store.active().get(task), started=services.wall_clock(), by="distill")
        section = settings.optimizer
        expected = forecast(plan.parts(selection=section.selection_items, confirmation=section.confirmation_items))
        _say(
            f"{len(examples.items)} examples: {expected.induction} to learn from, {expected.selection} to rank on,"
            f" {expected.confirmation} to confirm on; gains from {expected.detectable:.0%} up can be shown"
        )
        outcome = await teacher.run(plan, teacher.bench(progress), activate=activate)
        if not outcome.resumable:
            record = store.begin_cycle(task, plan.started, b"{}")
            store.end_cycle(record.id, services.wall_clock(), outcome.encoded())
        return outcome

    outcome = _run(settings, work)
    _print_outcome(outcome, as_json)
    if outcome.resumable:
        raise PreceptorError(f"{outcome.note}; run the same command again to go on without paying twice")


@click.command("eval", epilog="Example: preceptor eval arithmetic --data examples.jsonl --rules none")
@config_option
@json_option
@data_option
@click.option("--rules", default="active", show_default=True, help="VERSION, active or none.")
@click.argument("task")
def evaluate(config: Path | None, as_json: bool, data: Path, rules: str, task: str) -> None:
    """Measure the weak model on a data file, as callers would see it."""
    settings = _narrowed(settings_of(config), task)
    section, examples = settings.tasks[task], _load(data, settings, task)
    rule_set = _with_store(settings, lambda store: _chosen(store, task, rules, "--rules"))

    async def work(services: Services, teacher: Learner, progress: "_Bars") -> dict[str, Any]:
        found = await measure(
            teacher.bench(progress), teacher.model(section.weak), section.grader, examples.items,
            rule_set=rule_set,
        )  # fmt: skip
        version = rule_set.version if rule_set is not None else None
        return {
            "task": task, "rules": version, "model": section.weak, **msgspec.to_builtins(found.measured),
            "interval": found.interval, "left_out": len(examples.complaints),
        }  # fmt: skip

    result = _run(settings, work)
    if as_json:
        print_json(result)
        return
    low, high = result["interval"]
    click.echo(
        f"{task} on {result['model']}, rules {result['rules'] or 'none'}: {result['accuracy']:.1%} right of"
        f" {result['n']} (95% interval {low:.1%} to {high:.1%}), {result['output_tokens']:.0f} output tokens and"
        f" {result['latency_s']:.2f} s per reply"
    )


@click.command("verify", epilog="Example: preceptor verify arithmetic --data held-out.jsonl --rules rules.json")
@config_option
@json_option
@data_option
@click.option("--rules", required=True, help="The candidate: VERSION, a JSON FILE, active or none.")
@click.option("--against", default="active", show_default=True, help="The incumbent: VERSION, FILE, active or none.")
@click.argument("task")
def verify_(config: Path | None, as_json: bool, data: Path, rules: str, against: str, task: str) -> None:
    """The gate alone: does one rule set beat another on these examples? Publishes nothing."""
    settings = _narrowed(settings_of(config), task)
    section, examples = settings.tasks[task], _load(data, settings, task)
    candidate, incumbent = _with_store(
        settings, lambda store: (_chosen(store, task, rules, "--rules"), _chosen(store, task, against, "--against"))
    )

    async def work(services: Services, teacher: Learner, progress: "_Bars") -> Outcome:
        return await verify(
            teacher.bench(progress), teacher.model(section.weak), section.grader, examples.items,
            task=task, incumbent=incumbent, candidate=candidate or RuleSet(task=task),
            margin=settings.optimizer.margin,
        )  # fmt: skip

    _print_outcome(_run(settings, work), as_json)


@click.command(epilog="Example: preceptor optimize --once")
@config_option
@click.option("--once", is_flag=True, help="Look once at every task instead of by schedule.")
def optimize(config: Path | None, once: bool) -> None:
    """Run the scheduler on its own, for gateways with optimizer.enabled = false."""
    settings = settings_of(config)
    logs.configure()

    async def work(services: Services, teacher: Learner, progress: "_Bars") -> None:
        if once:
            await look(services, teacher)
            return
        async with scheduled(services):
            await asyncio.Event().wait()

    _run(settings, work)


@click.command(epilog="Example: preceptor demo --items 40")
@json_option
@click.option("--items", default=40, show_default=True, type=click.IntRange(20, 500), help="Problems measured.")
@click.option("--model", default="qwen2.5-coder-1.5b", show_default=True, help="Embedded model to run it on.")
def demo(as_json: bool, items: int, model: str) -> None:
    """Watch a small local model get better at word problems, through the gateway, while it serves."""
    try:
        from optimizer.demo.play import play
        from optimizer.demo.report import as_json as object_of
        from optimizer.demo.report import as_text
    except ModuleNotFoundError as error:
        raise PreceptorError(f"the demo needs the package {error.name!r}: pip install 'preceptor[demo]'") from error
    from gateway.modelfiles import resolve
    from gateway.settings import models_dir

    resolve(model, models_dir())
    folder = Path(tempfile.mkdtemp(prefix="preceptor-demo-"))
    with _Bars() as bars:
        played = asyncio.run(play(folder, model, items, lambda: SqlStore.open(folder), _say, bars))
    click.echo(as_text(played), err=as_json)
    if as_json:
        print_json(object_of(played))


COMMANDS = (distill, evaluate, verify_, optimize, demo)


class _Bars:
    """One progress bar per stage on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:>16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage)
        self._progress.update(self._bars[stage], completed=done, total=total)


Work = Callable[[Services, Learner, _Bars], Awaitable[Result]]


def _run(settings: Settings, work: Work[Result]) -> Result:
    """Do some work with a task's models and store, without serving."""

    async def opened() -> Result:
        async with _learner_on(settings) as (services, teacher):
            with _Bars() as bars:
                return await work(services, teacher, bars)

    return asyncio.run(opened())


@contextlib.asynccontextmanager
async def _learner_on(settings: Settings) -> AsyncIterator[tuple[Services, Learner]]:
    with store_of(settings) as store:
        services = build_services(settings, store)
        async with running(services), learner(services) as teacher:
            yield services, teacher


def _with_store(settings: Settings, read: Callable[[Store], Result]) -> Result:
    with store_of(settings) as store:
        return read(store)


def _narrowed(settings: Settings, task: str) -> Settings:
    """The settings with only what the task needs, so that nothing else is started or must be there."""
    section = settings.tasks[known_task(settings, task)]
    models = {name: settings.models[name] for name in (section.weak, section.strong)}
    upstreams = {model.upstream: settings.upstreams[model.upstream] for model in models.values()}
    server = msgspec.structs.replace(settings.server, default_upstream=None)
    return msgspec.structs.replace(settings, server=server, models=models, upstreams=upstreams, tasks={task: section})


def _load(data: Path, settings: Settings, task: str) -> Examples:
    examples = load_jsonl(data, settings.tasks[task].grader)
    for complaint in examples.complaints:
        _say(f"{data}: {complaint}")
    return examples


def _chosen(store: Store, task: str, wanted: str, option: str) -> RuleSet | None:
    """The rule set that an option names: a version, ``active``, ``none``, or a file."""
    if wanted == "none":
        return None
    if wanted == "active":
        return store.active().get(task)
    if wanted.isdigit():
        found = store.rule_set(task, int(wanted))
        if found is None:
            raise NotFound(f"task {task!r} has no version {wanted}: see 'preceptor rules list {task}'")
        return found
    if not Path(wanted).exists():
        raise click.BadParameter(f"{wanted!r} is no version, file, 'active' or 'none'", param_hint=option)
    return read_rule_set(Path(wanted), task)


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    low, high = outcome.interval
    click.echo(f"{outcome.task}: {outcome.verdict}. {outcome.note}")
    if outcome.items_used:
        click.echo(
            f"  {outcome.before.accuracy:.1%} -> {outcome.after.accuracy:.1%} on {outcome.items_used} items"
            f" (95% interval of the change {low:+.1%} to {high:+.1%}, p = {outcome.p_value:.2g}),"
            f" {outcome.fixed} fixed, {outcome.broken} broken; output tokens {outcome.before.output_tokens:.0f} ->"
            f" {outcome.after.output_tokens:.0f} per reply"
        )
    click.echo(f"  scratchpad {outcome.scratchpad}, {len(outcome.rules)} rules; {outcome.calls} calls paid")
    for rule in outcome.rules:
        click.echo(f"  - {rule.text}")
    for rejected in outcome.rejected:
        click.echo(f"  not taken: {rejected.what} ({rejected.why})")


def _say(line: str) -> None:
    click.echo(line, err=True)
