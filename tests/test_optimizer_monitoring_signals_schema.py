"""A stranger's schema: applied where that is cheap, never where it could be used against the process."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.monitoring.signals.schema import fits

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "$ref", "$defs", "allOf", "pattern", "minimum", "enum", "$id"]
)


def doubling(levels: int) -> dict[str, Any]:
    """Definitions of which each refers twice to the next; the last one wants a text."""
    definitions: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": {"type": "string"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["name"]},
        {"properties": {"name": {"type": "string"}}, "additionalProperties": False},
        {"$ref": "#/$defs/it", "$defs": {"it": {"minProperties": 2}}},
        {"properties": {"age": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {"type": "string"}}},
        {
            "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}, "required": ["age", "x"]}},
            "$ref": "#/$defs/n",
        },
        {"properties": {"age": {"type": "string", "pattern": "^[a-z]+$"}}},
    ],
)
def test_what_does_not_fit_is_found(schema: dict[str, Any]) -> None:
    """References within the schema are followed, also where they run in a circle."""
    assert not fits({"age": 3}, schema, 10)


def test_few_references_are_followed_and_many_are_not() -> None:
    """Sixty-four ways to one definition are cheap; two to the thirtieth would take minutes."""
    assert not fits(1, doubling(6), 1)
    assert fits(1, doubling(30), 1)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/type/deeper", "type": "string"},
        {"$ref": "other.json#/$defs/it"},
        {"$schema": "https://example.com/draft", "type": "string"},
        {"$dynamicRef": "#it", "type": "string"},
        {"items": {"$id": "https://example.com/inner"}, "type": "string"},
        {"type": "string", "pattern": "^(?=(a+)+$)b"},
        {"type": "string", "pattern": r"\w{99999}"},
        {"type": "string", "allOf": [{"pattern": "^a"}] * 100},
        {"type": "string", "properties": {str(number): {} for number in range(5000)}},
    ],
)
def test_a_schema_that_cannot_be_used_finds_no_fault(schema: dict[str, Any]) -> None:
    """Not a schema, not to be fetched, or not to be bounded: nothing is said against the value, which is no text."""
    assert fits(1, schema, 1)


def test_much_work_is_not_begun() -> None:
    """A large schema is not applied to a long reply."""
    schema = {"items": {"allOf": [{"type": "string"}] * 500}}
    assert not fits([1, 2], schema, 6)
    assert fits([1] * 50_000, schema, 100_000)


@given(schema=st.dictionaries(KEYWORDS, JSON, max_size=4), value=JSON)
def test_no_schema_raises(schema: dict[str, Any], value: Any) -> None:
    """Whatever traffic calls a schema."""
    assert fits(value, schema, 10) in (True, False)
