"""The health of a grader in a run: one that never comes to a verdict measures nothing.

Without this a judge that always breaks off would end as "0% right", and its model as useless. Grades nothing.
"""

from gateway.errors import PreceptorError

LEAST = 5
"""Failures without any verdict, after which a grader cannot grade."""


class CannotGrade(PreceptorError):
    """The grader fails on every reply: the numbers would say nothing about any model."""

    quotes = True


class GraderHealth:
    """Verdicts and failures of one run."""

    def __init__(self) -> None:
        self._verdicts = 0
        self._failures = 0

    def graded(self) -> None:
        """Note a verdict."""
        self._verdicts += 1

    def failed(self, reason: str) -> None:
        """Note a failure. Raises ``CannotGrade`` if there are many, and no verdict so far."""
        self._failures += 1
        if self._failures >= LEAST and not self._verdicts:
            raise CannotGrade(f"cannot grade: the grader came to no verdict on {self._failures} replies ({reason})")
