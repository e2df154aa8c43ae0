"""The bounds of an expected answer, within the reach of every grader, and judgements as yes or no. Pure."""

from typing import Any

MAX_DEPTH = 50
"""Levels of lists and objects in an expected answer."""
MAX_NUMBER = 1e300
"""Largest magnitude of a number in an expected answer: a float holds it, and its sums with tolerances."""


def excess(expected: Any) -> str:
    """Return the bound that an expected answer, as decoded from JSON, exceeds; empty for none."""
    level = [expected]
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(value, int | float) and not abs(value) <= MAX_NUMBER for value in level):
            return f"numbers must lie between -{MAX_NUMBER:g} and {MAX_NUMBER:g}"
        level = [
            inner
            for value in level
            if isinstance(value, list | dict)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return ""
    return f"lists and objects may be nested {MAX_DEPTH} deep"


def judged(correct: bool | None, score: float | None, verdict: float | None) -> bool | None:
    """Return a judgement as yes or no; ``None`` while there is none of the three."""
    if correct is not None:
        return correct
    share = score if score is not None else verdict
    return None if share is None else share >= 0.5
