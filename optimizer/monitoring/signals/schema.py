"""Validation against a schema from a request, which may be hostile: bounded work, and nothing is fetched.

A grader's schema is the operator's own; here regular expressions run in linear time, and expensive schemas are not
applied. A value then counts as fitting: this module looks for faults.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, repeat
from typing import Any, NoReturn

import msgspec

_NODES = 2000
"""Parts of a schema (lists and objects), each reference written out where it stands."""
_WORK = 20_000_000
"""Parts of a schema times characters of JSON."""
_PATTERN = 50
"""Parts that a regular expression counts for: it takes long to compile."""
_PATTERN_BYTES = 300_000
"""Size of a compiled regular expression."""


def fits(value: Any, schema: dict[str, Any], length: int) -> bool:
    """Decide whether a value fits; true where no answer is possible. ``length`` is the length of its JSON."""
    nodes, validator = _compiled(msgspec.json.encode(schema))
    if validator is None or nodes * length > _WORK:
        return True
    try:
        return bool(validator.is_valid(value))
    except ValueError:
        return True


@lru_cache(maxsize=64)
def _compiled(schema: bytes) -> tuple[int, Any]:
    """Return the number of a schema's parts and its validator; ``None`` if the schema is unusable.

    References count as often as they are followed: thirty definitions with two references each to the next would take
    minutes.
    """
    import jsonschema_rs

    try:
        root = msgspec.json.decode(schema)
        nodes = sum(1 for _ in islice(_parts(root, root, frozenset()), _NODES + 1))
        if nodes > _NODES:
            return nodes, None
        engine = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES)
        return nodes, jsonschema_rs.validator_for(root, retriever=_refuse, pattern_options=engine)
    except (ValueError, LookupError, RecursionError, jsonschema_rs.ReferencingError):
        return 0, None


def _parts(part: Any, root: Any, above: frozenset[str]) -> Iterator[None]:
    """Yield once for each list and object of a schema. A reference counts as its target, except inside that target."""
    if isinstance(part, list):
        yield None
        for inner in part:
            yield from _parts(inner, root, above)
    elif isinstance(part, dict):
        yield from repeat(None, 1 + _PATTERN * _patterns(part))
        ref = _ref(part, top=part is root)
        if ref is not None and ref not in above:
            yield from _parts(_target(ref, root), root, above | {ref})
        for name, inner in part.items():
            if name not in ("$defs", "definitions"):
                yield from _parts(inner, root, above)


def _patterns(part: dict[str, Any]) -> int:
    named = part.get("patternProperties")
    return isinstance(part.get("pattern"), str) + (len(named) if isinstance(named, dict) else 0)


def _ref(part: dict[str, Any], *, top: bool) -> str | None:
    """Return the reference of a part. Raises ``LookupError`` for kinds of references that cannot be followed here."""
    unclear = [part.get(name) for name in ("$dynamicRef", "$recursiveRef", *(() if top else ("$id", "id")))]
    if any(isinstance(name, str) for name in unclear):
        raise LookupError("its references depend on where it is used")
    ref = part.get("$ref")
    return ref if isinstance(ref, str) else None


def _target(ref: str, root: Any) -> Any:
    """Return the target of a reference inside a schema. Raises ``LookupError`` for any other reference."""
    start, *names = ref.split("/")
    if start != "#":
        raise LookupError(ref)
    target = root
    for name in names:
        target = (target if isinstance(target, dict) else {})[name.replace("~1", "/").replace("~0", "~")]
    return target


def _refuse(address: str) -> NoReturn:
    raise ValueError("nothing is fetched for a request")
