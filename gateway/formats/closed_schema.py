"""A label as the whole of a structured reply: possible where the schema has room for listed values and nothing else."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_OF_OBJECT = frozenset(
    {"$defs", "$schema", "additionalProperties", "description", "properties", "required", "title", "type"}
)
_OF_FIELD = frozenset({"const", "description", "enum", "title", "type"})
_REFERENCE = re.compile(r"#/\$defs/([A-Za-z0-9_.-]{1,100})")


def labelled_object(schema: Any, label: str) -> str | None:
    """Return the JSON object of a schema that says a label; ``None`` if more is asked for, or the label is not listed.

    The label is the value of the only property, or an object with a listed value for each property.
    """
    if not isinstance(schema, dict) or not schema.keys() <= _OF_OBJECT or schema.get("type", "object") != "object":
        return None
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields:
        return None
    values = _object_of(label)
    if values is None:
        values = {next(iter(fields)): label}
    if values.keys() != fields.keys():
        return None
    if not all(_lists(_resolved(field, schema), values[name]) for name, field in fields.items()):
        return None
    return msgspec.json.encode({name: values[name] for name in fields}).decode()


def _object_of(label: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(label, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None


def _resolved(field: Any, schema: Mapping[str, Any]) -> Any:
    """Follow a reference to the schema's own definitions, as SDKs write them for enumerations; one step only."""
    if not isinstance(field, dict) or not isinstance(field.get("$ref"), str):
        return field
    named, definitions = _REFERENCE.fullmatch(field["$ref"]), schema.get("$defs")
    return definitions.get(named[1]) if named and isinstance(definitions, dict) else None


def _lists(field: Any, value: Any) -> bool:
    if not isinstance(field, dict) or not field.keys() <= _OF_FIELD:
        return False
    values = [field["const"]] if "const" in field else field.get("enum")
    return isinstance(values, list) and any(type(value) is type(listed) and value == listed for listed in values)
