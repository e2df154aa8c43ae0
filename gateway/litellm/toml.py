"""TOML out: the few forms that a configuration needs, quoted so that any text survives. Reads nothing."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.settings.base import fields_of

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def quoted(text: str) -> str:
    """A basic string. JSON's escapes are TOML's; only DEL may stand bare in JSON and not in TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key, quoted where it has to be."""
    return name if _BARE.fullmatch(name) else quoted(name)


def inline(value: Any) -> str:
    """A value on one line: text, number, boolean, list or table."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{key(name)} = {inline(item)}" for name, item in value.items()) + " }"
        case _:
            return "[" + ", ".join(map(inline, value)) + "]"


def table(path: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """A table with its header; sub-tables stand inline."""
    lines = [f"[{'.'.join(map(key, path))}]", *(f"{key(name)} = {inline(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def said(section: msgspec.Struct) -> dict[str, Any]:
    """The settings of a section that differ from their defaults: its kind, its own, then those that kinds share."""
    config = section.__struct_config__
    values: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for field in fields_of(type(section)).values():
        value = getattr(section, field.name)
        factory = field.default_factory
        default = factory() if factory is not msgspec.NODEFAULT else field.default
        if value != default:
            values[field.encode_name] = said(value) if isinstance(value, msgspec.Struct) else value
    return values


def printable(text: str) -> str:
    """Text on one line, as a comment or a terminal can bear it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def comment(text: str) -> str:
    """A line of comment."""
    return f"# {printable(text)}\n"
