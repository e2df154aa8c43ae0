"""The fields of a worksheet: which schemas serve, and that no answer of a model breaks the reading."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.forms.worksheet_fields import LONGEST_ANSWER, MOST_FIELDS, check_schema, read_fields

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Graz", "Wien", None]},
        "days": {"type": "integer"},
        "price": {"type": "number"},
        "gift": {"type": "boolean"},
        "note": {"type": "string"},
        "items": {"type": "array"},
    },
    "required": ["days"],
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_fields_are_read_as_their_types() -> None:
    """A number is a fraction for conditions, an integer is whole."""
    answer = {"city": "Graz", "days": 40, "price": 9, "gift": False, "note": "x", "items": ["cup"], "other": 1}
    fields = read_fields(json.dumps(answer), SCHEMA)
    assert fields == {"city": "Graz", "days": 40, "price": 9.0, "gift": False, "note": "x", "items": ["cup"]}
    assert isinstance(fields["price"], float)


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ('```json\n{"days": "40"}\n```', {"days": 40}),
        ('Here it is: {"days": 40.0, "city": " graz"} I hope it helps', {"days": 40, "city": "Graz"}),
        ('{"days": 4, "city": "Paris", "gift": "no", "note": 3, "items": {}}', {"days": 4}),
    ],
)
def test_a_small_model_is_met_half_way(answer: str, fields: dict[str, Any]) -> None:
    """Words around the object, quotes around a number, another case; a value that does not fit is left out."""
    assert read_fields(answer, SCHEMA) == fields


@pytest.mark.parametrize(
    "answer", ["", "{", "}{", "null", "[1]", "{}", '{"city": "Graz"}', '{"days": "soon"}', '{"days": 4.5}',
               '{"days": true}', '{"days": 1e300}', "{" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, "\ud800{}"]
)  # fmt: skip
def test_an_answer_that_fills_in_nothing_is_none(answer: str) -> None:
    """No object, a required field missing, or nesting without end."""
    assert read_fields(answer, SCHEMA) is None


def test_a_long_answer_is_cut() -> None:
    """An answer of megabytes is not read to its end."""
    assert read_fields(" " * LONGEST_ANSWER + '{"days": 4}', SCHEMA) is None


@given(st.text())
def test_no_text_breaks_the_reading(answer: str) -> None:
    """It has fields, or it has none."""
    read_fields(answer, SCHEMA)


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"]]), VALUES))
def test_only_values_of_the_right_type_are_read(answer: dict[str, Any]) -> None:
    """Whatever the model writes, conditions see the types that the schema promises."""
    fields = read_fields(json.dumps(answer), SCHEMA) or {}
    types = {"city": str, "days": int, "price": float, "gift": bool, "note": str, "items": list}
    assert all(type(value) is types[name] for name, value in fields.items())


@pytest.mark.parametrize(
    "schema",
    [
        {}, {"type": "array", "properties": {"a": {"type": "string"}}}, {"properties": {}}, {"properties": []},
        {"properties": {"a b": {"type": "string"}}}, {"properties": {"text": {"type": "string"}}},
        {"properties": {"a": {}}}, {"properties": {"a": 3}}, {"properties": {"a": {"type": "object"}}},
        {"properties": {"a": {"type": ["string", "null"]}}}, {"properties": {"a": {"enum": "x"}}},
        {"properties": {f"a{n}": {"type": "string"} for n in range(MOST_FIELDS + 1)}},
        {"properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"properties": {"a": {"type": "string"}}, "required": [{}]},
    ],
)  # fmt: skip
def test_a_schema_that_cannot_serve_is_refused(schema: dict[str, Any]) -> None:
    """Before the version serves."""
    with pytest.raises(BadRequest):
        check_schema(schema)


def test_a_good_schema_passes() -> None:
    """A flat object of known types."""
    check_schema(SCHEMA)
