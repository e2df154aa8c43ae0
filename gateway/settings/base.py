"""The material of every section of the configuration: its base class, and types with bounds."""

import functools
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0, le=10**9)]
Count = Annotated[int, Meta(ge=1)]
RecordMode = Literal["all", "text off", "off"]
"""How much of an exchange is recorded: everything, everything but its texts, or nothing."""
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\Z")]


def doc(text: str) -> Meta:
    """Describe a setting, as the reference prints it."""
    return Meta(description=text)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section of the configuration."""


@functools.cache
def fields_of(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The settings of a section by name: its own first, then those of its base classes."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    names = [name for parent in kind.__mro__ for name in vars(parent).get("__annotations__", ()) if name in fields]
    return {name: fields[name] for name in names}
