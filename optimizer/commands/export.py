"""``preceptor export``: a task's exchanges, examples, mistakes or rule sets as JSON lines."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from gateway.commands.options import config_option, known_task, settings_of, store_of
from gateway.domain import Exchange
from gateway.errors import PreceptorError
from gateway.rules.files import to_dict
from gateway.settings import Settings
from gateway.store.base import Store
from optimizer.commands.progress import say
from optimizer.dataset.graded_exchanges import examples_from
from optimizer.dataset.items import Item
from optimizer.dataset.recorded_request import read_request

KINDS = ("exchanges", "examples", "triples", "rules")
_AT_ONCE = 500
_MOST = 100_000
"""Graded exchanges that are read for examples and triples."""

Line = dict[str, Any]


@click.command(epilog="Example: preceptor export examples --task arithmetic --out examples.jsonl")
@config_option
@click.option("--task", help="Task; without it exchanges of every task.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default: stdout.")
@click.argument("kind", type=click.Choice(KINDS))
def export(config: Path | None, task: str | None, out: Path | None, kind: str) -> None:
    """Write recorded data as JSON lines.

    exchanges: requests and replies. examples: questions with the right answer, a data file for distill. triples:
    question, wrong reply, right answer. rules: every version of a task's rule set.
    """
    settings = settings_of(config)
    if task is not None:
        known_task(settings, task)
    elif kind != "exchanges":
        raise click.UsageError(f"export {kind} needs --task")
    count = 0
    with store_of(settings) as store, opened(out) as file:
        for line in _lines(kind, store, settings, task):
            file.write(msgspec.json.encode(line) + b"\n")
            count += 1
    say(f"{count:,} {kind}" + (f" in {out}" if out else ""))


@contextlib.contextmanager
def opened(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with out.open("wb") as file:
            yield file
    except OSError as error:
        raise PreceptorError(f"cannot write {out}: {error.strerror}") from error


def _lines(kind: str, store: Store, settings: Settings, task: str | None) -> Iterator[Line]:
    if kind == "exchanges" or task is None:
        return _exchanges(store, task)
    if kind == "rules":
        return map(to_dict, store.rule_sets(task))
    return (_examples if kind == "examples" else _triples)(store, settings, task)


def _exchanges(store: Store, task: str | None) -> Iterator[Line]:
    position = 0
    while True:
        exchanges, after = store.recorded(position, limit=_AT_ONCE)
        yield from (_exchange(exchange) for exchange in exchanges if task is None or exchange.task == task)
        if not exchanges or after == position:
            return
        position = after


def _exchange(exchange: Exchange) -> Line:
    fields = {name: getattr(exchange, name) for name in exchange.__struct_fields__}
    return {**fields, "request": dict(read_request(exchange.request).body) or exchange.request.decode(errors="replace")}


def _examples(store: Store, settings: Settings, task: str) -> Iterator[Line]:
    section = settings.tasks[task]
    examples = examples_from(store.graded(task, limit=_MOST), section.grader, model=section.weak, rules=None)
    for complaint in examples.complaints:
        say(complaint)
    yield from map(_example, examples.items)


def _example(item: Item) -> Line:
    line = {**msgspec.json.decode(item.request), "expected": item.expected, "audit_rate": item.audit_rate}
    optional = {"labelled_by": item.labelled_by, "cluster": item.cluster}
    return {**line, **{name: value for name, value in optional.items() if value}}


def _triples(store: Store, settings: Settings, task: str) -> Iterator[Line]:
    for graded in store.graded(task, limit=_MOST):
        exchange, feedback = graded.exchange, graded.feedback
        if feedback.is_correct is False and feedback.expected is not None:
            turns = [{"role": turn.role, "content": turn.text} for turn in read_request(exchange.request).turns]
            yield {
                "id": exchange.id, "question": turns, "wrong": exchange.reply, "right": feedback.expected,
                "labeller": feedback.labeller or feedback.source,
            }  # fmt: skip
