"""``preceptor import``: examples of other tools as a data file of our own."""

from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.commands.options import config_option, known_task, settings_of
from gateway.settings import Grader
from optimizer.commands.export import opened
from optimizer.commands.progress import say
from optimizer.dataset.data_file import QUESTION, read_records
from optimizer.dataset.data_formats import SOURCES, example_in
from optimizer.dataset.items import BadData, item_of
from optimizer.grading.graders import grader_for

KEPT = (*QUESTION, "expected", "id", "conversation_id", "cluster", "user", "labelled_by", "audit_rate")
"""Keys of an example in our own form."""


@click.group(name="import")
def imports() -> None:
    """Bring data of other tools in."""


@imports.command(epilog="Example: preceptor import examples --from promptfoo tests.yaml --out examples.jsonl")
@config_option
@click.option("--from", "source", type=click.Choice(tuple(SOURCES)), help="The tool; default: found by the keys.")
@click.option("--task", help="Check the answers with this task's grader.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default: stdout.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def examples(config: Path | None, source: str | None, task: str | None, out: Path | None, file: Path) -> None:
    """Write examples of another tool as JSON lines.

    The lines are a data file for distill, eval, verify and migrate; these read the other tools' files as well. An
    example that cannot be used is named and left out.
    """
    grader: Grader | None = None
    if task is not None:
        settings = settings_of(config)
        grader = settings.tasks[known_task(settings, task)].grader

    def read(record: bytes) -> dict[str, Any]:
        return _example(record, source, grader)

    records, complaints = read_records(file, read)
    for complaint in complaints:
        say(f"{file}: {complaint}")
    if not records:
        raise BadData(f"{file} holds no example that can be used; its forms are in docs/data.md")
    with opened(out) as lines:
        for _, example in records:
            lines.write(msgspec.json.encode(example) + b"\n")
    unlabelled = sum("expected" not in example for _, example in records)
    without = f", {unlabelled:,} of them without a right answer (for migrate)" if unlabelled else ""
    say(f"{len(records):,} examples{f' in {out}' if out else ''}{without}")


def _example(record: bytes, source: str | None, grader: Grader | None) -> dict[str, Any]:
    """Return an example in our own keys. Raises ``BadData`` and, for an unusable answer, ``Ungradable``."""
    body = example_in(record, source)
    item_of({"messages": body["messages"]}, None)
    if grader is not None and "expected" in body:
        grader_for(grader).examine(body["expected"])
    return {name: body[name] for name in KEPT if name in body}
