"""A JSON schema as Anthropic's structured output takes it, by the rules of its own clients. Pure.

Objects are closed. Bounds that the model cannot be held to (``minimum``, ``maxLength``) move into the description.
"""

from collections.abc import Mapping
from typing import Any

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_ANYWHERE = ("$ref", "type", "enum", "const", "title", "description", "default")
_VARIANTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DEFINITIONS = ("$defs", "definitions")


def strict_schema(schema: Any) -> Any:
    """Return the schema without unsupported keywords; what they say stands in the description."""
    if not isinstance(schema, Mapping):
        return schema
    strict: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _ANYWHERE:
            strict[name] = value
        elif name in _VARIANTS and isinstance(value, list):
            strict[_VARIANTS[name]] = [strict_schema(variant) for variant in value]
        elif name in (*_DEFINITIONS, "properties") and isinstance(value, Mapping):
            strict[name] = {key: strict_schema(inner) for key, inner in value.items()}
        elif name == "items":
            strict[name] = strict_schema(value)
        elif name == "required" or (name == "minItems" and value in (0, 1)) or (name == "format" and value in _FORMATS):
            strict[name] = value
        elif name not in ("additionalProperties", "$schema", "$id"):
            rest[name] = value
    if "properties" in strict or _is_object(strict.get("type")):
        strict.setdefault("type", "object")
        strict.setdefault("properties", {})
        strict["additionalProperties"] = False
    if rest:
        said_so = ", ".join(f"{name}: {value}" for name, value in rest.items())
        described = strict.get("description")
        strict["description"] = f"{described}\n\n{{{said_so}}}" if isinstance(described, str) else f"{{{said_so}}}"
    return strict


def _is_object(kind: Any) -> bool:
    return kind == "object" or (isinstance(kind, list) and "object" in kind)
