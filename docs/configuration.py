"""Writes docs/configuration.md from the settings themselves, so that the reference cannot lag behind the code.

Run by ``make docs``; ``tests/test_house_rules.py`` fails while file and settings differ. It adds no prose of its
own beyond the frame: what a setting means stands at its field in ``gateway/settings/``.
"""

import datetime as dt
from collections.abc import Container
from inspect import cleandoc
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from gateway.settings.base import Section, fields_of
from gateway.settings.sections import Settings

TARGET = Path(__file__).parent / "configuration.md"

HEAD = """\
# Configuration

Generated from `gateway/settings/` by `make docs`; do not edit.

The configuration is one TOML file: the one given with `-c FILE`, else the one that `PRECEPTOR_CONFIG` names, else
`preceptor.toml` in the current folder. `preceptor init` writes a commented one, `preceptor check` names every mistake
in one at once. In every string `${VAR}` stands for the environment variable `VAR`; a missing one is an error. A setting
that holds a secret (`api_key`, `headers`, `admin_key`, `keys.NAME.key`) may name a file instead, such as
`file:/run/secrets/NAME`, which is read whenever the configuration is read.

| environment variable | meaning |
|---|---|
| `PRECEPTOR_CONFIG` | Path of the configuration file. |
| `PRECEPTOR_MODELS` | Folder of the pulled models; default: `preceptor/models` in the user's cache folder. |
| `PRECEPTOR_INJECTION` | `off` turns every rule set off at the next start; anything else, or nothing, leaves them on. |
"""

BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "pattern": "matches"}
PLAIN = {str: "text", Path: "path", int: "integer", float: "number", bool: "true or false", dt.date: "date"}


def reference() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for field in msgspec.structs.fields(Settings):
        base, _ = _bare(field.type)
        if get_origin(base) is dict:
            parts += _named_sections(_bare(get_args(base)[1])[0], f"{field.name}.NAME")
        elif _is_section(base):
            parts += _section(base, field.name)
    return "\n".join(parts)


def undocumented() -> list[str]:
    """Settings without a description, as ``Section.field``."""
    return [
        f"{section.__name__}.{field.name}"
        for section in sections(Section)
        if section is not Settings
        for field in msgspec.structs.fields(section)
        if not any(meta.description for meta in _bare(field.type)[1])
    ]


def sections(root: type[Section]) -> list[type[Section]]:
    """Every section class below ``root``."""
    return [found for child in root.__subclasses__() for found in (child, *sections(child))]


def _named_sections(base: Any, path: str) -> list[str]:
    """A section that the user names. Of several kinds, the settings that all share come first."""
    if _is_section(base):
        return _section(base, path)
    kinds = get_args(base)
    shared = next(parent for parent in kinds[0].__mro__ if all(issubclass(kind, parent) for kind in kinds))
    own = [_section(kind, path, known=fields_of(shared)) for kind in kinds]
    return [*_section(shared, path), *(line for lines in own for line in lines)]


def _section(kind: type[Section], path: str, known: Container[str] = ()) -> list[str]:
    """A section as a table without the settings already known, followed by the sections inside it."""
    tag = kind.__struct_config__.tag
    title = f"`[{path}]`" if tag is None else f'`[{path}]` with `kind = "{tag}"`'
    lines = [
        f"## {title}\n",
        f"{cleandoc(kind.__doc__ or '')}\n",
        "| setting | type | default | meaning |",
        "|---|---|---|---|",
    ]
    inner: list[str] = []
    for name, field in fields_of(kind).items():
        if name in known:
            continue
        base, metas = _bare(field.type)
        meaning = " ".join(meta.description for meta in metas if meta.description)
        cells = [f"`{field.encode_name}`", _type(field.type), _default(field), meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        for nested in filter(_is_section, [base, *get_args(base)]):
            inner += _section(nested, f"{path}.{field.encode_name}")
    return ["\n".join(lines) + "\n", *inner]


def _bare(annotation: Any) -> tuple[Any, list[Meta]]:
    """A type without its ``Annotated`` layers, and the metas that they carried."""
    if get_origin(annotation) is Annotated:
        base, *metas = get_args(annotation)
        return base, [meta for meta in metas if isinstance(meta, Meta)]
    return annotation, []


def _is_section(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, Section)


def _type(annotation: Any) -> str:
    base, metas = _bare(annotation)
    bounds = [
        f"{word} {getattr(meta, key)}"
        for meta in metas
        for key, word in BOUNDS.items()
        if getattr(meta, key) is not None
    ]
    return ", ".join([_name(base), *bounds])


def _name(base: Any) -> str:
    if get_origin(base) is Literal:
        return " or ".join(f'`"{value}"`' for value in get_args(base))
    if get_origin(base) in (Union, UnionType):
        names = [_type(part) for part in get_args(base) if part is not type(None)]
        return " or ".join(dict.fromkeys(names))
    if get_origin(base) is tuple:
        return f"list of {_name(_bare(get_args(base)[0])[0])}"
    return "table" if _is_section(base) or get_args(base) else PLAIN[base]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, Section):
        tag = value.__struct_config__.tag
        return f'`{{ kind = "{tag}" }}`' if tag is not None else ""
    if value is None or value in ({}, ()):
        return ""
    return f"`{msgspec.json.encode(value, enc_hook=str).decode()}`"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
