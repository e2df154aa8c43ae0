"""``preceptor label``: the audited requests that wait for a label, at the terminal or for scripts."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.commands.options import config_option, json_option, known_task, print_json, settings_of, store_of
from gateway.domain import Feedback
from gateway.errors import PreceptorError
from gateway.label_queue import QUEUE, QUEUE_S, describe, summarize, waiting
from gateway.settings import Task
from gateway.store.base import Audited, Store
from optimizer.commands.progress import on_terminal, say
from optimizer.dataset.recorded_request import read_request
from optimizer.grading.graders import Ungradable
from optimizer.grading.graders.typed_answer import typed_answer
from optimizer.monitoring.shadow.telling import TELLING, TellingBook, telling_first

_DAY_S = 86400.0
_MOST = 10_000
"""Audited exchanges that are read."""
_SHOWN = 4000
"""Characters of one text on the terminal."""
_KEYS = "[y] right  [n] wrong  [s] skip  [b] back  [q] quit"


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a file of answers."""

    id: str
    correct: bool | None = None
    score: float | None = None
    expected: Any = None
    comment: str | None = None


@click.command(epilog="Example: preceptor label arithmetic --as anna")
@config_option
@json_option
@click.option("--as", "name", default=QUEUE, help="Your name; it is stored with every label.")
@click.option(
    "--days", default=round(QUEUE_S / _DAY_S), show_default=True, type=click.IntRange(1), help="Days to look back."
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, _MOST), help="Most requests to label.")
@click.option(
    "--answers", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help='Labels from a file, or - for stdin: {"id": ..., "correct": true | false, "expected": ...} on each line.',
)  # fmt: skip
@click.argument("task")
def label(
    config: Path | None, as_json: bool, name: str, days: int, limit: int, answers: Path | None, task: str
) -> None:
    """Label audited requests that wait for a label.

    The audit sample was drawn before anybody knew an outcome, and the queue is in random order: labels from here may
    measure, labels that come unasked may be chosen by their outcome. While two versions are compared, requests with two
    different answers come first. Model and rules are hidden. --json lists the queue.
    """
    settings = settings_of(config)
    section = settings.tasks[known_task(settings, task)]
    since = time.time() - days * _DAY_S
    with store_of(settings) as store:
        audited, book = store.audited(task, since=since, limit=_MOST), TELLING.read(store, task) or TellingBook()
        telling = [Audited(exchange=known) for known in map(store.exchange, book.waiting) if known is not None]
        if answers is not None:
            _from_file(store, [*telling, *audited], answers, name)
        elif not as_json:
            _at_the_terminal(store, telling_first(telling, waiting(audited))[:limit], section, name)
        audited = store.audited(task, since=since, limit=_MOST)
    labels = summarize(audited)
    if as_json:
        items = [_object(entry) for entry in telling_first(telling, waiting(audited))[:limit]]
        print_json({"task": task, **msgspec.to_builtins(labels), "right": labels.right, "items": items})
        return
    for line in [*describe(labels, task), *book.lines()]:
        click.echo(line)


def _at_the_terminal(store: Store, queue: Sequence[Audited], section: Task, name: str) -> None:
    keys = click.getchar if on_terminal() else _lines()
    place, instructions = 0, ""
    while place < len(queue):
        entry = queue[place]
        instructions = _show(entry, f"{place + 1} of {len(queue)}", instructions)
        key = keys().lower()
        if key in ("q", "\x04", ""):
            break
        if key == "b":
            place = max(0, place - 1)
        elif key in ("y", "n"):
            expected = None if key == "y" else _asked_for(section)
            _store(store, Feedback(
                exchange_id=entry.exchange.id, created=time.time(), correct=key == "y", expected=expected,
                source="label", labeller=name,
            ))  # fmt: skip
            place += 1
        elif key == "s":
            place += 1
        else:
            click.echo(f"{key!r} is none of the keys")


def _lines() -> Callable[[], str]:
    """Return a reader of keys for input that is no terminal: one per line."""
    lines: Iterator[str] = iter(sys.stdin)
    return lambda: next(lines, "").strip()


def _show(entry: Audited, place: str, instructions: str) -> str:
    """Print a request and its reply; the instructions only if they changed. Returns the instructions."""
    request = read_request(entry.exchange.request)
    click.echo(f"\n--- {place} " + "-" * 40)
    if request.instructions and request.instructions != instructions:
        click.echo(f"instructions: {_cut(request.instructions)}")
    for turn in request.turns:
        if turn.text and turn.role not in ("system", "developer"):
            click.echo(f"{turn.role}: {_cut(turn.text)}")
    click.echo(f"REPLY: {_cut(entry.exchange.reply or '')}")
    for call in entry.exchange.tool_calls:
        click.echo(f"REPLY calls {call.name}({_cut(call.arguments)})")
    click.echo(_KEYS)
    return request.instructions


def _asked_for(section: Task) -> Any:
    """Ask for the right answer until it fits the task's grader; nothing if it is not known."""
    while True:
        text = click.prompt("right answer, if you know it", default="", show_default=False).strip()
        if not text:
            return None
        try:
            return typed_answer(section.grader, text)
        except Ungradable as error:
            click.echo(str(error))


def _from_file(store: Store, audited: Sequence[Audited], file: Path, name: str) -> None:
    known = {entry.exchange.id for entry in audited}
    decoder = msgspec.json.Decoder(_Answer)
    with click.open_file(str(file), "rb") as opened:
        lines = [line for line in opened.read().splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            answer = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            say(f"line {number}: {error}")
            continue
        if answer.id not in known:
            say(f"line {number}: {answer.id!r} is not in the audit sample")
        elif answer.correct is None and answer.score is None and answer.expected is None:
            say(f"line {number}: give at least one of 'correct', 'score' and 'expected'")
        elif answer.score is not None and not 0 <= answer.score <= 1:
            say(f"line {number}: 'score' must lie between 0 and 1")
        else:
            _store(store, Feedback(
                exchange_id=answer.id, created=time.time(), correct=answer.correct, score=answer.score,
                expected=answer.expected, comment=answer.comment, source="label", labeller=name,
            ))  # fmt: skip


def _store(store: Store, feedback: Feedback) -> None:
    try:
        if not store.add_feedback(feedback):
            say(f"{feedback.exchange_id!r} is gone meanwhile: no label is stored")
    except PreceptorError as error:
        say(f"{feedback.exchange_id!r}: {error.message}")


def _object(entry: Audited) -> dict[str, Any]:
    request = read_request(entry.exchange.request)
    return {
        "id": entry.exchange.id,
        "created": entry.exchange.created,
        "turns": [{"role": turn.role, "text": turn.text} for turn in request.turns],
        "reply": entry.exchange.reply,
        "tool_calls": msgspec.to_builtins(entry.exchange.tool_calls),
    }


def _cut(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n[{len(text) - _SHOWN:,} characters left out]\n{text[-half:]}"
