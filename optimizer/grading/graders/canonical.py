"""JSON values compared by their meaning: ``1`` equals ``1.0``, and keys have no order."""

from collections.abc import Collection
from typing import Any

import msgspec

LONGEST = 1_000_000
"""Characters of a JSON text; a longer text is not read."""
DEEPEST = 64
"""Levels of lists and objects inside each other."""


class NotJson(ValueError):
    """A text is not JSON, or longer or deeper than the bounds."""


def value_of(text: str) -> Any:
    """Return the value of a JSON text. Raises ``NotJson``."""
    if len(text) > LONGEST:
        raise NotJson(f"more than {LONGEST} characters")
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if _deeper(value, DEEPEST):
        raise NotJson(f"more than {DEEPEST} levels deep")
    return value


def same(first: Any, second: Any, *, ignore: Collection[str] = ()) -> bool:
    """Decide whether two JSON values are equal, without the keys to ``ignore``. ``1`` is ``1.0`` but not ``true``."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = {key for key in (*first, *second) if key not in ignore}
        return all(key in first and key in second and same(first[key], second[key], ignore=ignore) for key in keys)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(same(a, b, ignore=ignore) for a, b in zip(first, second, strict=True))
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    return bool(first == second)


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in inner)
