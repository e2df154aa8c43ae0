"""The check of a TOML document against a tree of msgspec structs: every mistake at once, each under its key.

msgspec stops at the first mistake, which is a slow way to repair a file. Knows types, not the meaning of a setting:
``load`` finds names that point nowhere.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from gateway.settings.base import fields_of

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Mistakes(dict[str, str]):
    """Mistakes by key, such as ``tasks.x.weak``. Only the first mistake of a key counts: it explains the rest."""

    def note(self, key: str, text: str) -> None:
        self.setdefault(key, text)

    def lines(self) -> list[str]:
        return [f"{key}: {text}" for key, text in self.items()]


def expanded(value: Any, environment: Mapping[str, str], mistakes: Mistakes, key: str = "") -> Any:
    """Replace ``${VAR}`` in every string of the value; a missing variable is noted by name."""
    if isinstance(value, dict):
        return {name: expanded(item, environment, mistakes, _under(key, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [expanded(item, environment, mistakes, f"{key}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    missing = [name for name in dict.fromkeys(_VARIABLE.findall(value)) if name not in environment]
    if missing:
        mistakes.note(key, f"environment variable not set: {', '.join(missing)}")
        return value
    return _VARIABLE.sub(lambda match: environment[match[1]], value)


def check(value: Any, wanted: Any, mistakes: Mistakes, key: str = "") -> None:
    """Note every mistake in a value of a wanted type: structs, tagged unions, mappings, plain values."""
    bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    structs = [kind for kind in (bare, *get_args(bare)) if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    if get_origin(bare) in (dict, Mapping):
        name_type, item_type = get_args(bare)
        _check_mapping(value, name_type, item_type, mistakes, key)
    elif structs:
        _check_struct(value, structs, mistakes, key)
    else:
        try:
            convert(value, wanted)
        except msgspec.ValidationError as error:
            choices = get_args(bare) if get_origin(bare) is Literal else None
            mistakes.note(key, _choices_text(choices) if choices else str(error))


def _check_mapping(value: Any, name_type: Any, item_type: Any, mistakes: Mistakes, key: str) -> None:
    if not isinstance(value, dict):
        mistakes.note(key, f"must be a table, such as [{key}.NAME]")
        return
    for name, item in value.items():
        try:
            convert(name, name_type)
        except msgspec.ValidationError:
            mistakes.note(_under(key, name), "a name has letters, digits and . _ : / - only")
        check(item, item_type, mistakes, _under(key, name))


def _check_struct(value: Any, structs: list[type[msgspec.Struct]], mistakes: Mistakes, key: str) -> None:
    if not isinstance(value, dict):
        mistakes.note(key, "must be a table")
        return
    kinds = {kind.__struct_config__.tag: kind for kind in structs}
    tag_field = structs[0].__struct_config__.tag_field
    tag = value.get(tag_field) if tag_field is not None else None
    if tag_field is not None and (not isinstance(tag, str) or tag not in kinds):
        mistakes.note(_under(key, tag_field), _choices_text(kinds))
        return
    fields = fields_of(kinds[tag])
    for name, item in value.items():
        if name in fields:
            check(item, fields[name].type, mistakes, _under(key, name))
        elif name != tag_field:
            mistakes.note(_under(key, name), f"unknown setting{suggestion(name, fields)}")
    for name, field in fields.items():
        if field.required and name not in value:
            mistakes.note(_under(key, name), "is missing")


def convert(value: Any, wanted: Any) -> Any:
    """Convert the value to a type, paths included. Raises ``msgspec.ValidationError`` at the first mistake."""
    return msgspec.convert(value, wanted, dec_hook=_path)


def _path(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError("Expected `str`")


def texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Iterate over the strings in nested tables and lists, each with the names and positions on the way to it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from texts(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*path, str(index)))
    elif isinstance(value, str):
        yield path, value


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the known name closest to a mistyped name, as the end of a sentence; empty if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _choices_text(choices: Iterable[Any]) -> str:
    return f"must be one of {', '.join(map(str, choices))}"


def _under(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
