"""The battery finds what a sandbox does not hold. The sandboxes here are made to leak, without running anything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.grading.sandbox.base import NoSandbox, SandboxJob, SandboxLimits, SandboxRun
from optimizer.grading.sandbox.battery import attempts, weaknesses

PASSED, FAILED = SandboxRun(outcome="passed"), SandboxRun(outcome="failed", note="no")
RIGHT = SandboxJob(code="def double(number):\n    return 2 * number", tests=("assert double(2) == 4",))
Leak = Callable[[str], SandboxRun | None]


class Leaking:
    """Holds everything but what ``leak`` lets through; runs correct programs."""

    name = "leaking"

    def __init__(self, leak: Leak) -> None:
        self.leak = leak

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        program = "\n".join((job.code, *job.tests))
        if job == RIGHT:
            return PASSED
        return self.leak(program) or FAILED


def found_with(leak: Leak) -> list[str]:
    return weaknesses(Leaking(leak))


def test_a_sandbox_that_holds_everything_has_no_weakness() -> None:
    """Whatever it says of the attempts, as long as none passes."""
    assert found_with(lambda program: None) == []
    assert found_with(lambda program: SandboxRun(outcome="unsupported")) == []


def test_a_sandbox_that_runs_nothing_is_none() -> None:
    """It would call every reply wrong."""

    class Dead(Leaking):
        def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
            return FAILED

    assert weaknesses(Dead(lambda program: None)) == ["runs: a correct program does not pass"]


def test_every_attempt_that_passes_is_named() -> None:
    """All of them, each once."""
    every = {aim for aim, _ in attempts(Path("secret"), 1, 2)}
    assert set(found_with(lambda program: PASSED)) == every
    kinds = {aim.partition(":")[0] for aim in every}
    assert kinds == {
        "verdict", "state", "files", "environment", "network", "parent", "processes", "time", "memory", "output",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "weakness"),
    [
        ("os.fork()", "processes: one can be made"),
        ("os.environ", "environment: it can be read"),
        ("sys._getframe(1)", "verdict: the code reaches its tests"),
        ("sys.exit(0)", "verdict: the code reaches its tests"),
        ("create_connection", "network: loopback can be reached"),
    ],
)
def test_one_leak_is_enough(word: str, weakness: str) -> None:
    """A sandbox is used only if it holds all."""
    assert found_with(lambda program: PASSED if word in program else None) == [weakness]


def test_what_happened_outside_counts_whatever_the_sandbox_says() -> None:
    """A written file, even if the program is said to have failed."""

    def leak(program: str) -> None:
        if "'w').write" in program:
            Path(program.split("'")[1]).write_text("x")

    assert found_with(leak) == ["files: something was written"]


def test_a_secret_in_a_note_is_a_leak() -> None:
    """So is a note without end."""

    def tell(program: str) -> SandboxRun | None:
        return (
            SandboxRun(outcome="failed", note="a secret of the machine") if "raise ValueError(open" in program else None
        )

    assert found_with(tell) == ["files: one can be shown"]
    assert len(found_with(lambda program: SandboxRun(outcome="failed", note="x" * 10_000))) > 10


def test_a_sandbox_that_breaks_under_an_attempt_is_weak() -> None:
    """What it would have done is not known."""

    def breaks(program: str) -> SandboxRun | None:
        if "while True:\n    pass" in program:
            raise NoSandbox("broken")
        return None

    assert found_with(breaks) == ["time: working for ever is possible"]
