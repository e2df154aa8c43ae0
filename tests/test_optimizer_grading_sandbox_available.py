"""Which sandboxes are used: those that passed the battery, each asked once."""

import logging

import pytest

from optimizer.grading.sandbox.available import KINDS, sandboxes
from optimizer.grading.sandbox.base import NoSandbox, SandboxJob, SandboxLimits, SandboxRun


class Good:
    """Holds everything, for it runs nothing but what must pass."""

    name = "good"

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        passed = "2 * number" in job.code and job.tests == ("assert double(2) == 4",)
        return SandboxRun(outcome="passed" if passed else "failed")


class Bad(Good):
    """Lets everything through."""

    name = "bad"

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        return SandboxRun(outcome="passed")


def missing() -> Good:
    raise NoSandbox("it is not installed")


def test_the_sandboxes_that_hold_are_used_in_order() -> None:
    """What is missing or weak is passed over."""
    assert [sandbox.name for sandbox in sandboxes([missing, Bad, Good])] == ["good"]


def test_each_is_examined_once_in_a_process(caplog: pytest.LogCaptureFixture) -> None:
    """When it is first wanted, and the log says what came of it."""

    class Fresh(Good):
        made = 0

        def __init__(self) -> None:
            Fresh.made += 1

    with caplog.at_level(logging.INFO):
        first, again = next(sandboxes([Fresh, Bad])), next(sandboxes([Fresh, Bad]))
    assert first is again and Fresh.made == 1
    assert [record.action for record in caplog.records] == ["sandbox.passed"]  # type: ignore[attr-defined]


def test_a_weak_sandbox_is_refused_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """As an error: somebody should look at it."""

    class Weak(Bad):
        pass

    with (
        caplog.at_level(logging.INFO),
        pytest.raises(NoSandbox, match=r"bad failed its self-check \(.*files: one can be"),
    ):
        next(sandboxes([Weak]))
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_without_any_nothing_is_run() -> None:
    """The error says of each what is wrong with it."""
    with pytest.raises(NoSandbox, match="no sandbox to run code in: it is not installed; bad failed"):
        list(sandboxes([missing, Bad]))


def test_the_quick_one_comes_first() -> None:
    """Then the one that knows all of Python; there is no third that would run code in the open."""
    assert [kind.__name__ for kind in KINDS] == ["Monty", "Bubblewrap"]
