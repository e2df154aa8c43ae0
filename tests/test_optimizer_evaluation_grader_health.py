"""A grader that never comes to a verdict ends the run; one that sometimes fails does not."""

import pytest

from optimizer.evaluation.grader_health import LEAST, CannotGrade, GraderHealth


def test_failures_without_any_verdict_end_the_run() -> None:
    """With the last reason."""
    health = GraderHealth()
    for _ in range(LEAST - 1):
        health.failed("no clear verdict")
    with pytest.raises(CannotGrade, match=r"no verdict on 5 replies .no clear verdict"):
        health.failed("no clear verdict")


def test_a_single_verdict_is_a_sign_of_health() -> None:
    """Failures then count against the replies."""
    health = GraderHealth()
    health.graded()
    for _ in range(3 * LEAST):
        health.failed("broken off")
