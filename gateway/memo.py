"""What was worked out of some bytes of a request, kept for others that come with the same: most requests of a task
begin with the same instructions. Bounded in number and in size; for pure functions only."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST: Final = 256
LONGEST: Final = 16_384
"""Bytes beyond which nothing is kept."""


def remembered(work: Callable[Concatenate[bytes, P], T]) -> Callable[Concatenate[bytes, P], T]:
    """The same function, which remembers its last ``MOST`` results. What it raises is raised again each time."""
    kept: Callable[..., T] = lru_cache(MOST)(work)

    @wraps(work)
    def either(given: bytes, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return kept(given, *args, **kwargs) if len(given) <= LONGEST else work(given, *args, **kwargs)

    return either
