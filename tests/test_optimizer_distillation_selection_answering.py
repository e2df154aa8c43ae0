"""A label is a whole reply where the grader compares whole replies, and the request has room for nothing else."""

from typing import Any

import pytest

from gateway.settings import ExactGrader, Grader, RegexGrader
from gateway.settings.graders import JsonSchemaGrader
from optimizer.dataset.items import Item, item_of
from optimizer.distillation.selection.answering import label_is_the_reply

SHAPE = {"type": "object", "properties": {"desk": {"enum": ["a", "b"]}}}
CLOSED = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SHAPE}}


def item(expected: Any, **fields: Any) -> Item:
    return item_of({"messages": [{"role": "user", "content": "Where to?"}], **fields}, expected)


@pytest.mark.parametrize(
    ("grader", "expected", "fields", "suffices"),
    [
        (ExactGrader(), "a", {}, True),
        (ExactGrader(), "a", {"tools": [{}]}, False),
        (ExactGrader(), None, {}, False),
        (JsonSchemaGrader(), {"desk": "a"}, {}, True),
        (JsonSchemaGrader(), {"desk": "a"}, {"response_format": CLOSED}, True),
        (JsonSchemaGrader(), {"desk": "a", "why": "x"}, {"response_format": CLOSED}, False),
        (JsonSchemaGrader(schema=SHAPE), {"desk": "a"}, {}, False),
        (RegexGrader(pattern="Desk: (.*)"), "a", {}, False),
    ],
)
def test_a_label_is_a_whole_reply(grader: Grader, expected: Any, fields: dict[str, Any], suffices: bool) -> None:
    """A grader that compares a part of it, or a schema of its own, says nothing about the rest."""
    assert label_is_the_reply([item(expected, **fields)], grader) is suffices
