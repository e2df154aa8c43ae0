"""The fields of a worksheet: what its schema may say, and how a model's answer is read. Never raises on an answer.

A schema is a flat object. Small models are met half-way: a number in quotes is a number, and case does not count in an
enumeration. Nothing here searches with patterns, so reading takes time linear in the answer.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import BadRequest

MOST_FIELDS = 32
"""Fields of a worksheet."""
LONGEST_ANSWER = 20_000
"""Characters of an answer that are read."""
_TYPES = ("string", "number", "integer", "boolean", "array")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise ``BadRequest`` for a schema that is no flat object of known types."""
    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, dict) or not properties:
        raise BadRequest("a worksheet's schema must be an object with properties")
    if len(properties) > MOST_FIELDS:
        raise BadRequest(f"a worksheet has at most {MOST_FIELDS} fields")
    for name, field in properties.items():
        if not _NAME.fullmatch(name) or name == "text":
            raise BadRequest(f"worksheet field {name!r}: a name has letters, digits and _, and 'text' is taken")
        if not isinstance(field, dict) or not (isinstance(field.get("enum"), list) or field.get("type") in _TYPES):
            raise BadRequest(f"worksheet field {name!r} needs an enum or one of the types {', '.join(_TYPES)}")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) and name in properties for name in required):
        raise BadRequest("a worksheet can only require its own fields")


def read_fields(answer: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the fields that an answer fills in; ``None`` if it fills in none, or not all that are required."""
    given = _object_in(answer[:LONGEST_ANSWER])
    fields = {}
    for name, field in schema["properties"].items():
        value = _value(given.get(name), field)
        if value is not None:
            fields[name] = value
    return fields if fields and all(name in fields for name in schema.get("required", ())) else None


def _object_in(answer: str) -> dict[str, Any]:
    """Return the JSON object in a text, from its first to its last brace; empty if there is none."""
    begin, end = answer.find("{"), answer.rfind("}")
    try:
        decoded = msgspec.json.decode(answer[begin : end + 1].encode("utf-8", "replace")) if 0 <= begin < end else None
    except (msgspec.DecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _value(given: Any, field: Mapping[str, Any]) -> Any:
    """Return a value as its field's type; ``None`` if it is none."""
    if given is None:
        return None
    if isinstance(field.get("enum"), list):
        return _listed(given, field["enum"])
    kind = field.get("type")
    if kind in ("number", "integer"):
        return _number(given, kind)
    types = {"string": str, "boolean": bool, "array": list}
    return given if isinstance(given, types[str(kind)]) else None


def _listed(given: Any, allowed: list[Any]) -> Any:
    if any(type(given) is type(value) and given == value for value in allowed):
        return given
    folded = str(given).strip().casefold()
    alike = [value for value in allowed if value is not None and str(value).casefold() == folded]
    return alike[0] if len(alike) == 1 else None


def _number(given: Any, kind: str) -> float | int | None:
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, int | float) or not -(2**53) < given < 2**53:
        return None
    if kind == "number":
        return float(given)
    return int(given) if given == int(given) else None
