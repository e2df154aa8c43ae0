"""How a reply is compared with the expected answer. A grader sees what the caller sees, and nothing else.

One module per kind, each with two functions: ``grade`` (is the reply right?) and ``label`` (which expected answer does
a reply stand for that is known to be right?). Nothing here calls a model or runs code.
"""

from typing import Any

from gateway.settings import ExactGrader, Grader, NumericGrader
from optimizer.graders import exact, numeric, regex
from optimizer.graders.ungradable import Ungradable

__all__ = ["Ungradable", "grade", "label"]


def grade(grader: Grader, reply: str, expected: Any) -> float:
    """1.0 if the reply is right, else 0.0. Raises ``Ungradable`` if ``expected`` cannot be compared with any reply."""
    if isinstance(grader, NumericGrader):
        right = numeric.grade(grader, reply, expected)
    elif isinstance(grader, ExactGrader):
        right = exact.grade(grader, reply, expected)
    else:
        right = regex.grade(grader, reply, expected)
    return 1.0 if right else 0.0


def label(grader: Grader, reply: str) -> str:
    """The expected answer that a right reply stands for. Raises ``Ungradable`` if it cannot be told from the reply."""
    if isinstance(grader, NumericGrader):
        return numeric.label(grader, reply)
    if isinstance(grader, ExactGrader):
        return exact.label(reply)
    return regex.label(grader, reply)
