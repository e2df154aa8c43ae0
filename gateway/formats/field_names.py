"""Checks on the names of a request's fields: no duplicates, no wrong spellings, only fields allowed to the key.

The gateway and its upstream must read the same request. Of two fields with the same name, some decoders take the first;
some ignore case and take ``MODEL`` for ``model``. Both are refused. The request of a key with limits is also written
anew, so that no duplicate remains at any depth.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.errors import BadRequest, Forbidden, shown
from gateway.formats.allowed_fields import KNOWN
from gateway.formats.envelope import decode_object, decoded

_OF_MESSAGES: Final = frozenset({
    "role", "content", "type", "text", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "thinking",
})  # fmt: skip
"""Names in a message, or in a part of its content, with a meaning to the gateway or to an upstream."""
_CHOICES: Final = frozenset({"model", "models"})
"""Names in a tool or in an object of settings that choose another model."""
_OWN_WORDS: Final = frozenset({"messages", "input", "system", "prompt", "metadata", "documents", "moderation"})
"""Fields with the caller's own objects, and one whose model answers nobody."""


class _Name(str):
    """A field's name, equal to no other object: a dict of these keeps every duplicate."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


_LONG: Final = 10_000
"""Bytes of a body that is read through once, names and duplicates together; that takes longer for a short one."""
_every_field: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[_Name, Raw], dec_hook=str.__new__)


def request_fields(body: bytes) -> dict[str, Raw]:
    """Return the top-level fields of a request.

    Raises ``BadRequest`` for anything but a JSON object, for duplicate names and for wrong spellings of known names.
    """
    if len(body) > _LONG:
        every = decode_object(body, _every_field)
        fields = {str(name): value for name, value in every.items()}
        if len(fields) < len(every):
            raise _repeated(every)
        return _well_spelt(fields)
    fields = decode_object(body)
    if _compact_size(fields) != len(body) and len(every := _every_field.decode(body)) > len(fields):
        raise _repeated(every)
    return _well_spelt(fields)


def _well_spelt(fields: dict[str, Raw]) -> dict[str, Raw]:
    if not fields.keys() <= KNOWN:
        for name in fields:
            refuse_misspelt(name, KNOWN)
    return fields


def _compact_size(fields: dict[str, Raw]) -> int:
    """Return the least bytes of an object with these fields: without white space, escapes in names and duplicates."""
    return sum(map(len, fields)) + sum(map(len, fields.values())) + 4 * len(fields) + (1 if fields else 2)


def _repeated(names: Iterable[str]) -> BadRequest:
    seen: set[str] = set()
    for name in map(str, names):
        if name in seen:
            return BadRequest(
                f"The body has the field {shown(name)!r} twice.", param=shown(name), code="duplicate_field"
            )
        seen.add(name)
    raise AssertionError("called for a body with a duplicate")


def refuse_misspelt(name: str, known: frozenset[str]) -> None:
    """Raise ``BadRequest`` for a name that a lenient decoder would take for a known one, such as ``Model``."""
    if name in known:
        return
    folded = fold(name)
    if folded in known:
        raise BadRequest(
            f"The field {shown(name)!r} is not known: write {folded!r}.", param=shown(name), code="misspelt_field"
        )


def restricted(body: bytes, allowed: frozenset[str], more: Iterable[str] = ()) -> bytes:
    """Return the request of a key with limits in canonical form, after a check of every field.

    ``more`` are fields allowed to this key besides ``allowed``. Raises ``Forbidden`` for any other field, and
    ``BadRequest`` for duplicates and wrong spellings, in messages too.
    """
    given = request_fields(body)
    for name in given.keys() - allowed - set(more):
        raise Forbidden(
            f"This key may not send the field {shown(name)!r}: keys.NAME.fields in the configuration can allow it.",
            param=shown(name), code="field_not_allowed",
        )  # fmt: skip
    # A value without objects has no names: it stays as it came, such as the numbers of an input for embeddings.
    fields = {name: decoded(raw) if b"{" in bytes(raw) else raw for name, raw in given.items()}
    for part in _message_parts(fields):
        if not part.keys() <= _OF_MESSAGES:
            for name in part:
                refuse_misspelt(name, _OF_MESSAGES)
    for field in fields.keys() - _OWN_WORDS:
        if any(fold(name) in _CHOICES for part in _objects(fields[field]) for name in part):
            raise Forbidden(f"This key may not choose a model in {field!r}.", param=field, code="model_not_allowed")
    return msgspec.json.encode(fields)


def _message_parts(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every message, or item of an input, and every part of its content."""
    for name in ("messages", "input", "system"):
        for message in _objects(fields.get(name)):
            yield message
            yield from _objects(message.get("content"))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield an object, or the objects of a list, however deep it is nested."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            waiting += reversed(value)


def fold(name: str) -> str:
    """Return a name as the most lenient decoder reads it: no case, no compatibility forms, nothing behind a NUL."""
    name = name.partition("\0")[0].strip()
    return name.lower() if name.isascii() else unicodedata.normalize("NFKC", name).casefold()
