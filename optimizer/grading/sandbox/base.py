"""The contract of a sandbox: code and its tests in, an outcome out."""

from typing import Literal, Protocol

from gateway.domain import Value
from gateway.errors import PreceptorError

NOTE = 300
"""Characters of a run's note."""


class SandboxLimits(Value, frozen=True):
    """The resources of a program."""

    seconds: float
    memory: int
    """Bytes."""


class SandboxJob(Value, frozen=True):
    """A reply's code and the tests on it."""

    code: str
    tests: tuple[str, ...] = ()
    """Programs to run in order; then every test that they define."""
    prompt: str = ""
    """A program of the tests' author with helpers for both, such as the beginning of the function to complete."""
    entry_point: str = ""
    """The name of the function under test, if it is known."""


Outcome = Literal["passed", "failed", "unsupported"]


class SandboxRun(Value, frozen=True):
    """The end of a program."""

    outcome: Outcome
    """``passed``: the code and every test ran to its end. ``unsupported``: the sandbox lacks a feature of the program,
    so that the program may be right all the same."""
    note: str = ""
    """The error in one line, at most ``NOTE`` characters; the program may have written it."""


class NoSandbox(PreceptorError):
    """No sandbox of this machine can be used."""


class Sandbox(Protocol):
    """A runner of untrusted Python. Blocks; safe for several threads at once."""

    @property
    def name(self) -> str: ...

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        """Run the code, and the tests out of its reach; the first error ends both.

        Raises ``NoSandbox`` for a sandbox out of order.
        """


def first_line(text: str) -> str:
    """Return the first line of a text, shortened."""
    return text.strip().partition("\n")[0][:NOTE]
