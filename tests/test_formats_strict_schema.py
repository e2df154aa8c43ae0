"""Schemas as Anthropic takes them, held against its own client's."""

import copy
from typing import Any

import pytest
from anthropic import transform_schema
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.strict_schema import strict_schema

PLAIN = st.sampled_from([
    {"type": "string"}, {"type": "string", "format": "date"}, {"type": "string", "format": "odd"},
    {"type": "string", "maxLength": 3},
    {"type": "integer", "minimum": 1, "description": "A number"}, {"enum": ["a", "b"]}, {"const": 3},
    {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3}, {"$ref": "#/$defs/x"},
])  # fmt: skip
SCHEMAS = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.text(max_size=3), inner, max_size=3)},
            optional={"required": st.just(["a"]), "additionalProperties": st.booleans(), "title": st.just("T")},
        ),
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda variants: {"anyOf": variants}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda variants: {"oneOf": variants}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_a_schema_is_what_anthropics_client_makes_of_it(schema: dict[str, Any]) -> None:
    """Closed objects; bounds in the description."""
    given_schema = copy.deepcopy(schema)
    assert strict_schema(schema) == transform_schema(copy.deepcopy(schema))
    assert schema == given_schema


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (True, True),
        ({"type": ["object", "null"]}, {"type": ["object", "null"], "properties": {}, "additionalProperties": False}),
        (
            {"properties": {"n": {}}, "$schema": "x"},
            {"type": "object", "properties": {"n": {}}, "additionalProperties": False},
        ),
    ],
)
def test_what_its_client_refuses_is_closed_all_the_same(schema: Any, strict: Any) -> None:
    """The upstream judges the rest."""
    assert strict_schema(schema) == strict
