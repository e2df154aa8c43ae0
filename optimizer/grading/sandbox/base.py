"""What a sandbox is given and what it says. Runs nothing."""

from collections.abc import Sequence
from typing import Literal, Protocol

from gateway.domain import Value
from gateway.errors import PreceptorError

NOTE = 300
"""Characters of a run's note."""


class SandboxLimits(Value, frozen=True):
    """What a program may take."""

    seconds: float
    memory: int
    """Bytes."""


class SandboxRun(Value, frozen=True):
    """How a program ended."""

    outcome: Literal["passed", "failed", "unsupported"]
    """``passed``: every part ran to its end. ``unsupported``: the sandbox lacks something that the program uses, so
    that it may be right all the same."""
    note: str = ""
    """The error in one line, at most ``NOTE`` characters; the program may have written it."""


class NoSandbox(PreceptorError):
    """No sandbox of this machine can be used."""


class Sandbox(Protocol):
    """Runs Python that nobody trusts. Blocks; may be used by several threads at once."""

    @property
    def name(self) -> str: ...

    def run(self, parts: Sequence[str], limits: SandboxLimits) -> SandboxRun:
        """Run the parts of one program one after the other in one namespace; the first error ends it.

        Raises ``NoSandbox`` if the sandbox itself does not work.
        """


def first_line(text: str) -> str:
    """The first line of a text, shortened."""
    return text.strip().partition("\n")[0][:NOTE]
