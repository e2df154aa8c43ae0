"""A Python interpreter in Rust without files, network and environment: ``pydantic-monty``.

Every program gets a worker process of its own (about 10 ms; a pool would take less than one, but then one program's
worker would run the next one). The interpreter lacks parts of the language and of the standard library, and says so.
"""

import builtins
import re
from collections.abc import Sequence
from typing import Literal

from optimizer.grading.sandbox.base import NoSandbox, SandboxLimits, SandboxRun, first_line

_GRACE_S = 2.0  # to start a worker, and to end one that does not end itself
_NOTHING = "\n\nNone"  # the value of a last expression would be copied into this process
_LACKING = frozenset({"NotImplementedError", "ModuleNotFoundError", "ImportError", "AttributeError", "TypeError"})
_OWN_WORDS = ("not supported in this environment", "Internal error in monty")
_UNKNOWN_NAME = re.compile(r"NameError: name '(\w+)' is not defined")


class Monty:
    """Implements ``Sandbox``."""

    name = "pydantic-monty"

    def __init__(self) -> None:
        """Raises ``NoSandbox`` if the package is missing."""
        try:
            import pydantic_monty
        except ImportError as error:
            raise NoSandbox("pydantic-monty is not installed: install 'preceptor[code]'") from error
        self._monty = pydantic_monty

    def run(self, parts: Sequence[str], limits: SandboxLimits) -> SandboxRun:
        monty = self._monty
        bounds = monty.ResourceLimits(
            max_feed_duration_secs=limits.seconds,
            max_memory=limits.memory,
            max_suspensions=1,
            max_total_sleep_secs=limits.seconds,
        )
        pool = monty.Monty(min_processes=1, max_processes=1, request_timeout=limits.seconds + _GRACE_S)
        try:
            with pool, pool.checkout(limits=bounds, assert_message_annotations=False) as session:
                for part in parts:
                    session.feed_run(part + _NOTHING, print_callback=_drop)
        except (monty.MontyRuntimeError, monty.MontySyntaxError) as error:
            note = first_line(error.display("type-msg"))
            return SandboxRun(outcome="unsupported" if _lacking(note) else "failed", note=note)
        except monty.MontyError as error:
            return SandboxRun(outcome="failed", note=first_line(str(error)))
        except (OSError, RuntimeError) as error:
            raise NoSandbox(f"pydantic-monty does not start: {error}") from error
        return SandboxRun(outcome="passed")


def _drop(stream: Literal["stdout", "stderr"], text: str) -> None:
    """Drop the program's output."""


def _lacking(note: str) -> bool:
    """Decide whether an error comes from the interpreter's gaps rather than from the program."""
    if note.partition(":")[0] in _LACKING or any(words in note for words in _OWN_WORDS):
        return True
    unknown = _UNKNOWN_NAME.match(note)
    return unknown is not None and hasattr(builtins, unknown[1])
