"""Collect the examples of a migration: from a data file, or from the strong model's answers in the log.

An example without a label is labelled with the strong model's own answer (``evaluation.reference_answers``). Calls no
model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gateway.domain import Exchange, Value
from gateway.errors import PreceptorError
from gateway.settings import Task
from gateway.store.base import Graded
from optimizer.dataset.clusters import with_clusters
from optimizer.dataset.data_file import load_examples
from optimizer.dataset.graded_exchanges import examples_from
from optimizer.dataset.items import BadData, Examples, Item, item_of_request
from optimizer.evaluation.answer_cache import Answer
from optimizer.evaluation.reference_answers import with_label


class ExampleSource(Value, frozen=True):
    """The examples of a task, with the strong model's recorded answers."""

    name: str
    examples: Examples
    answers: Mapping[str, Answer] = msgspec.field(default_factory=dict)
    """The strong model's recorded answers by item id."""


def from_file(path: Path, section: Task) -> ExampleSource:
    """Read the examples of a data file, with or without expected answers. Raises ``BadData``."""
    return ExampleSource(name=path.name, examples=load_examples(path, section.grader, labelled=False))


def from_log(
    graded: Sequence[Graded], answered: Sequence[Exchange], section: Task, *, rules: int | None = None
) -> ExampleSource:
    """Collect the graded exchanges of a task and the exchanges ``answered`` by its strong model, newest first.

    Feedback labels an example if it gives the right answer; a bare "wrong" labels nothing. Raises ``BadData`` if no
    example can be used.
    """
    examples = examples_from(graded, section.grader, model=section.weak, rules=rules)
    judged = {pair.exchange.id for pair in graded}
    known = {item.id for item in examples.items}
    added: dict[str, Item] = {}
    answers: dict[str, Answer] = {}
    complaints = list(examples.complaints)
    for exchange in answered:
        if exchange.model != section.strong or not (exchange.reply or exchange.tool_calls):
            continue
        try:
            item, answer = item_of_request(exchange.request), _answer(exchange)
            if item.id not in known and item.id not in added and exchange.id not in judged:
                added[item.id] = with_label(item, section.grader, section.strong, answer)
        except PreceptorError as error:
            complaints.append(f"exchange {exchange.id}: {error}")
            continue
        answers.setdefault(item.id, answer)
    items = with_clusters([*examples.items, *added.values()])
    if not items:
        raise BadData(
            f"the log holds no example of {section.strong!r} that can be used: serve the task with it for a while"
            ' (serve = "strong"), give feedback, or name a file with --data'
        )
    return ExampleSource(
        name="the log",
        examples=msgspec.structs.replace(examples, items=items, complaints=tuple(complaints)),
        answers=answers,
    )


def _answer(exchange: Exchange) -> Answer:
    return Answer(
        text=exchange.reply or "",
        usage=exchange.usage,
        latency_s=exchange.latency_ms / 1000,
        finish_reason=exchange.finish_reason,
        tool_calls=exchange.tool_calls,
    )
