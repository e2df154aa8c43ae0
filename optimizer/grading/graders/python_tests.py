"""Right if the expected tests pass on the reply's code. Runs nothing itself: ``grading.sandbox`` does.

A reply may be a bare function or prose with code in it: its last fenced block counts or, without one, all of it.
"""

import re
import textwrap
from collections.abc import Iterable
from typing import Any

from gateway.settings.graders import PythonTestsGrader
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable
from optimizer.grading.sandbox.available import sandboxes
from optimizer.grading.sandbox.base import NoSandbox, Sandbox, SandboxLimits

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
_WANTED = 'a text of Python tests, or {"test": ..., "entry_point": ..., "prompt": ...}'


def grade(grader: PythonTestsGrader, reply: str, expected: Any, available: Iterable[Sandbox] | None = None) -> bool:
    """Whether the tests pass in the first sandbox that has what the code needs.

    Raises ``NoSandbox`` if there is none at all, ``GraderFailed`` if none has it.
    """
    before, after = parts_of(expected)
    limits = SandboxLimits(seconds=grader.timeout_s, memory=grader.memory_mb * 10**6)
    note = ""
    for sandbox in available if available is not None else sandboxes():
        run = sandbox.run([*before, code_of(reply), *after], limits)
        if run.outcome != "unsupported":
            return run.outcome == "passed"
        note = f"{sandbox.name} says {run.note}"
    raise GraderFailed(f"no sandbox here can run the reply's code ({note}): install bubblewrap")


def parts_of(expected: Any) -> tuple[list[str], list[str]]:
    """What is run before the reply's code, and after it. Raises ``Ungradable``."""
    case = {"test": expected} if isinstance(expected, str) else expected
    if not isinstance(case, dict) or not all(isinstance(case.get(key, ""), str) for key in ("entry_point", "prompt")):
        raise Ungradable(expected, _WANTED)
    test, entry_point, prompt = case.get("test"), case.get("entry_point", ""), case.get("prompt", "")
    if not isinstance(test, str) or not test.strip() or not (entry_point.isidentifier() or not entry_point):
        raise Ungradable(expected, _WANTED)
    defines_check = re.search(r"^def check\(", test, re.MULTILINE) is not None
    if defines_check and not entry_point and re.search(r"^check\(", test, re.MULTILINE) is None:
        raise Ungradable(expected, "tests that call their own check(): name the function in 'entry_point'")
    called = [f"check({entry_point})"] if defines_check and entry_point else []
    return [prompt] if prompt else [], [test, *called]


def code_of(reply: str) -> str:
    """The last fenced block, even one that was never closed, or all of the reply."""
    block: list[str] = []
    last: list[str] | None = None
    fence = ""
    for line in reply.splitlines():
        found = _FENCE.match(line)
        if fence and found and found[1].startswith(fence) and not line.strip(" \t`~"):
            fence = ""
        elif fence:
            block.append(line)
        elif found:
            fence, block = found[1], []
            last = block
    return textwrap.dedent("\n".join(last)) if last is not None else reply


def mistakes() -> list[str]:
    """What is wrong with the section on this machine, each with its key."""
    try:
        next(sandboxes())
    except NoSandbox as error:
        return [f"kind: {error}"]
    return []
