"""JSON values compared by what they mean. Does not know where they come from."""

from collections.abc import Collection
from typing import Any

import msgspec

LONGEST = 1_000_000
"""Characters of JSON that are read; more is no answer."""
DEEPEST = 64
"""Lists and objects inside each other."""


class NotJson(ValueError):
    """A text is not JSON, or too long or too deep to be looked into."""


def value_of(text: str) -> Any:
    """The value of a JSON text. Raises ``NotJson``."""
    if len(text) > LONGEST:
        raise NotJson(f"more than {LONGEST} characters")
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if _deeper(value, DEEPEST):
        raise NotJson(f"more than {DEEPEST} levels deep")
    return value


def same(one: Any, other: Any, *, ignore: Collection[str] = ()) -> bool:
    """Whether two JSON values are equal: 1 is 1.0 but not true; keys have no order, those to ``ignore`` are skipped."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {key for key in (*one, *other) if key not in ignore}
        return all(key in one and key in other and same(one[key], other[key], ignore=ignore) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, ignore=ignore) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in inner)
