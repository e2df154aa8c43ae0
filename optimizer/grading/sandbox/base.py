"""The contract of a sandbox: parts of a program in, an outcome out."""

from collections.abc import Sequence
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


class SandboxRun(Value, frozen=True):
    """The end of a program."""

    outcome: Literal["passed", "failed", "unsupported"]
    """``passed``: every part ran to its end. ``unsupported``: the sandbox lacks a feature of the program, so that the
    program may be right all the same."""
    note: str = ""
    """The error in one line, at most ``NOTE`` characters; the program may have written it."""


class NoSandbox(PreceptorError):
    """No sandbox of this machine can be used."""


class Sandbox(Protocol):
    """A runner of untrusted Python. Blocks; safe for several threads at once."""

    @property
    def name(self) -> str: ...

    def run(self, parts: Sequence[str], limits: SandboxLimits) -> SandboxRun:
        """Run the parts of a program in order, in a common namespace; the first error ends it.

        Raises ``NoSandbox`` for a sandbox out of order.
        """


def first_line(text: str) -> str:
    """Return the first line of a text, shortened."""
    return text.strip().partition("\n")[0][:NOTE]
