"""The grader ``python_tests``: right if the expected tests pass on the reply's code, inside ``grading.sandbox``.

A reply may be a bare function, or prose with code in fenced blocks.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from gateway.settings.graders import PythonTestsGrader
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable
from optimizer.grading.sandbox.available import sandboxes
from optimizer.grading.sandbox.base import NoSandbox, Sandbox, SandboxJob, SandboxLimits

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*\{?\.?([\w+#-]*)")
_PYTHON = ("", "python", "py", "python3", "py3")
"""Languages of a block that may be Python."""
_DEFINITION = r"^(?:async\s+def|def|class)\s"
_CHECK, _CHECK_CALL = re.compile(r"^def check\(", re.MULTILINE), re.compile(r"^check\(", re.MULTILINE)
_WANTED = 'a text of Python tests, a list of them, or {"test": ..., "entry_point": ..., "prompt": ...}'


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
        return self.assess(submission, expected).score

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Grade, with the first error of code or tests. Raises the errors of ``grade``."""
        job = job_of(expected)
        job = msgspec.structs.replace(job, code=code_of(submission.text, job.entry_point))
        note = ""
        for sandbox in self._available():
            run = sandbox.run(job, self._limits)
            if run.outcome != "unsupported":
                return Grade(score=float(run.outcome == "passed"), remark=run.note)
            note = f"{sandbox.name}: {run.note}"
        raise GraderFailed(f"no sandbox here can run the reply's code ({note}): install bubblewrap")

    def examine(self, expected: Any) -> None:
        """Raise ``Ungradable`` for a value that holds no tests. Runs nothing."""
        job_of(expected)

    def mistakes(self) -> list[str]:
        try:
            next(iter(self._available()))
        except NoSandbox as error:
            return [f"kind: {error}"]
        return []


def job_of(expected: Any) -> SandboxJob:
    """Return the tests of an expected value, without the code. Raises ``Ungradable``.

    A text, a list of texts, or a mapping in HumanEval's form (``test``, ``entry_point``, ``prompt``) or in MBPP's
    (``test_list``, ``test_setup_code`` or ``test_imports``).
    """
    case = expected if isinstance(expected, dict) else {"test": expected}
    names = ("entry_point", "prompt", "test_setup_code")
    if not all(isinstance(case.get(name, ""), str) for name in names):
        raise Ungradable(expected, _WANTED)
    setup = [case.get("test_setup_code", ""), *_texts(case.get("test_imports", []), expected)]
    tests = _texts(case.get("test", case.get("test_list")), expected)
    entry_point, prompt = case.get("entry_point", ""), case.get("prompt", "")
    if not any(map(str.strip, tests)) or not (entry_point.isidentifier() or not entry_point):
        raise Ungradable(expected, _WANTED)
    if any(map(_CHECK.search, tests)) and not any(map(_CHECK_CALL.search, tests)):
        if not entry_point:
            raise Ungradable(expected, "tests that call their own check(): name the function in 'entry_point'")
        tests = [*tests, f"check({entry_point})"]
    if prompt and not entry_point and "test_list" in case:
        prompt = ""  # MBPP's prompt is a sentence
    return SandboxJob(
        code="", tests=tuple(part for part in (*setup, *tests) if part), prompt=prompt, entry_point=entry_point
    )


def code_of(reply: str, entry_point: str = "") -> str:
    """Return the Python in a reply; without a fence, the whole reply.

    Of several fenced blocks the last that defines the entry point counts, else the last with a definition, else the
    last. Blocks of another language count only without one of Python, and an unclosed block is a block.
    """
    blocks = list(_blocks(reply))
    if not blocks:
        return reply
    python = [block for language, block in blocks if language in _PYTHON] or [block for _, block in blocks]
    defining = rf"^(?:async\s+def|def|class)\s+{re.escape(entry_point)}\b" if entry_point else _DEFINITION
    for pattern in (defining, _DEFINITION):
        suited = [block for block in python if re.search(pattern, block, re.MULTILINE)]
        if suited:
            return suited[-1]
    return python[-1]


def _blocks(reply: str) -> Iterator[tuple[str, str]]:
    """Yield the fenced blocks of a reply with their languages."""
    lines: list[str] = []
    fence = language = ""
    for line in reply.splitlines():
        mark = _FENCE.match(line)
        if fence and mark and mark[1].startswith(fence) and not mark[2]:
            yield language, textwrap.dedent("\n".join(lines))
            fence = ""
        elif fence:
            lines.append(line)
        elif mark:
            fence, language, lines = mark[1], mark[2].casefold(), []
    if fence:
        yield language, textwrap.dedent("\n".join(lines))


def _texts(value: Any, expected: Any) -> list[str]:
    """Return a text, or a list of texts, as a list."""
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise Ungradable(expected, _WANTED)
    return texts
