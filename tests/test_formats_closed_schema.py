"""A label in a caller's own schema: only where the schema has room for listed values and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.closed_schema import labelled_object

DESK = {"type": "string", "enum": ["packaging", "returns"]}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"desk": DESK}, "required": ["desk"]}


def fields(**named: Any) -> dict[str, Any]:
    return {"type": "object", "properties": named}


def test_the_only_property_takes_the_label() -> None:
    """As JSON, by an encoder."""
    assert labelled_object(SCHEMA, "returns") == '{"desk":"returns"}'
    assert labelled_object(fields(desk={"enum": ['a"b']}), 'a"b') == '{"desk":"a\\"b"}'


def test_an_enumeration_may_stand_among_the_definitions() -> None:
    """As pydantic writes it."""
    schema = {**fields(desk={"$ref": "#/$defs/Desk"}), "$defs": {"Desk": {"title": "Desk", **DESK}}}
    assert labelled_object(schema, "packaging") == '{"desk":"packaging"}'
    assert labelled_object({**schema, "$defs": {}}, "packaging") is None
    assert labelled_object(fields(desk={"$ref": "http://127.0.0.1/x"}), "packaging") is None


def test_a_label_may_be_the_object_itself() -> None:
    """Every property is listed, in the schema's order."""
    schema = fields(desk=DESK, urgent={"enum": [True, False]}, kind={"const": "ticket"})
    label = json.dumps({"kind": "ticket", "urgent": True, "desk": "returns"})
    assert labelled_object(schema, label) == '{"desk":"returns","urgent":true,"kind":"ticket"}'
    for other in ({"kind": "ticket", "desk": "returns"}, {"kind": "x", "urgent": True, "desk": "returns"},
                  {"kind": "ticket", "urgent": 1, "desk": "returns"}):  # fmt: skip
        assert labelled_object(schema, json.dumps(other)) is None


@pytest.mark.parametrize(
    "schema",
    [
        None, [], {}, {"type": "array"}, fields(),
        fields(desk={"type": "string"}),
        fields(desk={**DESK, "maxLength": 3}),
        fields(desk=DESK, reason={"type": "string"}),
        {**SCHEMA, "allOf": [{}]}, {**SCHEMA, "properties": [1]},
    ],
)  # fmt: skip
def test_a_schema_with_room_for_more_takes_no_label(schema: Any) -> None:
    """The model must write the rest."""
    assert labelled_object(schema, "returns") is None


@given(st.text())
def test_nothing_but_a_listed_value_is_ever_written(label: str) -> None:
    """Whatever the decision list holds."""
    written = labelled_object(SCHEMA, label)
    assert written is None or json.loads(written)["desk"] in DESK["enum"]
