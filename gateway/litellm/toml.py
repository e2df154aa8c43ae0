"""Writing TOML: the few forms of a configuration, quoted so that any text survives. Reads nothing."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.settings.base import fields_of

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def quoted(text: str) -> str:
    """Return a basic string. JSON's escapes are TOML's, except for DEL: only JSON allows it unescaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """Return a key, quoted if necessary."""
    return name if _BARE.fullmatch(name) else quoted(name)


def inline(value: Any) -> str:
    """Return a value on one line: text, number, boolean, date, list or table."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return repr(value)
        case dt.date():
            return value.isoformat()
        case Mapping():
            return "{ " + ", ".join(f"{key(name)} = {inline(item)}" for name, item in value.items()) + " }"
        case _:
            return "[" + ", ".join(map(inline, value)) + "]"


def table(path: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """Return a table with its header; sub-tables are inline."""
    lines = [f"[{'.'.join(map(key, path))}]", *(f"{key(name)} = {inline(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def changed_settings(section: msgspec.Struct) -> dict[str, Any]:
    """Return the settings of a section with other values than their defaults: kind, own settings, shared settings."""
    config = section.__struct_config__
    values: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for field in fields_of(type(section)).values():
        value = getattr(section, field.name)
        factory = field.default_factory
        default = factory() if factory is not msgspec.NODEFAULT else field.default
        if value != default:
            values[field.encode_name] = changed_settings(value) if isinstance(value, msgspec.Struct) else value
    return values


def printable(text: str) -> str:
    """Return text on one line, fit for a comment or a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def comment(text: str) -> str:
    """Return a line of comment."""
    return f"# {printable(text)}\n"
