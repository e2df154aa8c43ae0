"""Runs a property on new examples until its time is over, each round with a seed of its own; CI repeats one run.

Hypothesis, and not atheris: much of the parsing is done by C libraries (llhttp, msgspec) whose coverage atheris does
not see, while Hypothesis knows the shapes and shrinks what fails.
"""

import os
import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

HARNESSES = 11
MINUTES = float(os.environ.get("FUZZ_MINUTES", "0.05"))
"""Of all harnesses together, one after the other."""
SEED = int(os.environ["FUZZ_SEED"]) if os.environ.get("FUZZ_SEED") else None
"""Of the first round, the next ones count on from it; without it, every round has a seed that nobody chose."""

Example = TypeVar("Example")


def fuzz(strategy: SearchStrategy[Example], holds: Callable[[Example], object]) -> int:
    """Put examples to ``holds``, which raises where something is wrong; returns their number."""
    ends = time.monotonic() + 60 * MINUTES / HARNESSES
    count = 0

    def checked(example: Example) -> None:
        nonlocal count
        count += 1
        holds(example)

    rounds = settings(
        max_examples=200, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    number = SEED
    while count == 0 or time.monotonic() < ends:
        seed(secrets.randbits(64) if number is None else number)(rounds(given(strategy)(checked)))()
        number = None if number is None else number + 1
    return count
