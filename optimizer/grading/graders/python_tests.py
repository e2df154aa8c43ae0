"""The grader ``python_tests``: right if the expected tests pass on the reply's code, inside ``grading.sandbox``.

A reply may be a bare function, or prose with code. The last fenced block counts; without a fence, the whole reply.
"""

import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from gateway.settings.graders import PythonTestsGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable
from optimizer.grading.sandbox.available import sandboxes
from optimizer.grading.sandbox.base import NoSandbox, Sandbox, SandboxLimits

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
_WANTED = 'a text of Python tests, or {"test": ..., "entry_point": ..., "prompt": ...}'


class PythonTests(ReplyGrader):
    """Run the expected tests on the reply's code."""

    is_slow = True
    can_label = False

    def __init__(self, settings: PythonTestsGrader, available: Callable[[], Iterable[Sandbox]] = sandboxes) -> None:
        self._limits = SandboxLimits(seconds=settings.timeout_s, memory=settings.memory_mb * 10**6)
        self._available = available

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return 1.0 if the tests pass in the first sandbox that supports the code.

        Raises ``NoSandbox`` on a machine without any, ``GraderFailed`` for code that none supports.
        """
        before, after = parts_of(expected)
        note = ""
        for sandbox in self._available():
            run = sandbox.run([*before, code_of(submission.text), *after], self._limits)
            if run.outcome != "unsupported":
                return float(run.outcome == "passed")
            note = f"{sandbox.name}: {run.note}"
        raise GraderFailed(f"no sandbox here can run the reply's code ({note}): install bubblewrap")

    def examine(self, expected: Any) -> None:
        """Raise ``Ungradable`` for a value that holds no tests. Runs nothing."""
        parts_of(expected)

    def mistakes(self) -> list[str]:
        try:
            next(iter(self._available()))
        except NoSandbox as error:
            return [f"kind: {error}"]
        return []


def parts_of(expected: Any) -> tuple[list[str], list[str]]:
    """Return the programs to run before and after the reply's code. Raises ``Ungradable``."""
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
    """Return the last fenced block, even an unclosed one; without a fence, the whole reply."""
    block: list[str] = []
    last: list[str] | None = None
    fence = ""
    for line in reply.splitlines():
        mark = _FENCE.match(line)
        if fence and mark and mark[1].startswith(fence) and not line.strip(" \t`~"):
            fence = ""
        elif fence:
            block.append(line)
        elif mark:
            fence, block = mark[1], []
            last = block
    return textwrap.dedent("\n".join(last)) if last is not None else reply
