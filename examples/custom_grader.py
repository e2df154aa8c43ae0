"""Grade replies with a function of your own: here, a number within one per cent of the expected number.

In preceptor.toml, with this file's folder on PYTHONPATH:

    [tasks.estimates]
    match = { header = { x-preceptor-task = "estimates" } }
    weak = "small"
    strong = "large"
    grader = { kind = "python", call = "custom_grader:within_one_per_cent" }
"""

import re
from typing import Any


def within_one_per_cent(reply: str, expected: float, request: dict[str, Any]) -> bool:
    """Return whether the last number of the reply lies within 1% of the expected number.

    ``request`` is the recorded body, for graders that look at the question; return a number from 0 to 1 for a score.
    """
    numbers = re.findall(r"-?\d+(?:\.\d+)?", reply.replace(",", ""))
    return bool(numbers) and abs(float(numbers[-1]) - expected) <= 0.01 * abs(expected)
