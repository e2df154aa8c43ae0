"""A bounded cache for pure functions of a request's bytes: most requests of a task begin with the same instructions."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST: Final = 256
LONGEST: Final = 16_384
"""Longest argument with a cached result, in bytes."""


def remembered(work: Callable[Concatenate[bytes, P], T]) -> Callable[Concatenate[bytes, P], T]:
    """Return the function with a cache of its last ``MOST`` results. Exceptions are not cached."""
    kept: Callable[..., T] = lru_cache(MOST)(work)

    @wraps(work)
    def either(given: bytes, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return kept(given, *args, **kwargs) if len(given) <= LONGEST else work(given, *args, **kwargs)

    return either
