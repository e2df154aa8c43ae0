"""Whether a value fits a schema that came with a request, which may be hostile: within bounds, and nothing is fetched.

Unlike the grader's, whose schema is the operator's own, regular expressions must run in linear time, and a schema that
could take long is not applied. Such a value is said to fit: the caller of this module looks for faults.
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
"""How many parts a regular expression counts for: it takes long to compile."""
_PATTERN_BYTES = 300_000
"""Size of a compiled regular expression."""


def fits(value: Any, schema: dict[str, Any], length: int) -> bool:
    """Whether a value fits; also where that cannot be said. ``length`` is that of its JSON."""
    nodes, validator = _compiled(msgspec.json.encode(schema))
    if validator is None or nodes * length > _WORK:
        return True
    try:
        return bool(validator.is_valid(value))
    except ValueError:
        return True


@lru_cache(maxsize=64)
def _compiled(schema: bytes) -> tuple[int, Any]:
    """The number of a schema's parts, and what validates by it: ``None`` if it cannot be used.

    References are counted as often as they are followed: thirty definitions of which each refers twice to the next
    would take minutes.
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
    """One for each list and object of a schema. A reference counts as what it refers to, except inside of that."""
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
    """What a part refers to. Raises ``LookupError`` if it does so in a way that cannot be followed here."""
    unclear = [part.get(name) for name in ("$dynamicRef", "$recursiveRef", *(() if top else ("$id", "id")))]
    if any(isinstance(name, str) for name in unclear):
        raise LookupError("its references depend on where it is used")
    ref = part.get("$ref")
    return ref if isinstance(ref, str) else None


def _target(ref: str, root: Any) -> Any:
    """What a reference inside of a schema refers to. Raises ``LookupError`` for any other reference."""
    start, *names = ref.split("/")
    if start != "#":
        raise LookupError(ref)
    found = root
    for name in names:
        found = (found if isinstance(found, dict) else {})[name.replace("~1", "/").replace("~0", "~")]
    return found


def _refuse(address: str) -> NoReturn:
    raise ValueError("nothing is fetched for a request")
