"""The grader of code: which code of a reply is run, with which tests, in which sandbox."""

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.settings.graders import PythonTestsGrader
from optimizer.grading.graders import GraderFailed, Submission, Ungradable
from optimizer.grading.graders.python_tests import PythonTests, code_of, parts_of
from optimizer.grading.sandbox.available import sandboxes
from optimizer.grading.sandbox.base import NoSandbox, Sandbox, SandboxLimits, SandboxRun
from tests.grading import mistakes

GRADER = PythonTestsGrader(timeout_s=2, memory_mb=100)


class Scripted:
    """A sandbox that says what it is told to say."""

    name = "scripted"

    def __init__(self, outcome: SandboxRun) -> None:
        self.outcome = outcome
        self.runs: list[tuple[list[str], SandboxLimits]] = []

    def run(self, parts: Sequence[str], limits: SandboxLimits) -> SandboxRun:
        self.runs.append((list(parts), limits))
        return self.outcome


def grade(section: PythonTestsGrader, reply: str, expected: Any, available: Sequence[Sandbox] | None = None) -> float:
    grader = PythonTests(section) if available is None else PythonTests(section, lambda: available)
    return grader.grade(Submission(text=reply), expected)


PASSED, FAILED, LACKING = (
    SandboxRun(outcome="passed"),
    SandboxRun(outcome="failed"),
    SandboxRun(outcome="unsupported", note="no yield"),
)


def test_code_is_run_before_its_tests_and_within_the_limits() -> None:
    """Parts of one program."""
    sandbox = Scripted(PASSED)
    assert grade(GRADER, "a = 1", "assert a == 1", [sandbox])
    assert sandbox.runs == [(["a = 1", "assert a == 1"], SandboxLimits(seconds=2, memory=100_000_000))]
    assert not grade(GRADER, "a = 1", "assert a == 1", [Scripted(FAILED)])


def test_what_one_sandbox_lacks_the_next_may_have() -> None:
    """The first that can run the code decides; if none can, the reply is neither right nor wrong."""
    assert grade(GRADER, "a = 1", "pass", [Scripted(LACKING), Scripted(PASSED)])
    assert not grade(GRADER, "a = 1", "pass", [Scripted(FAILED), Scripted(PASSED)])
    with pytest.raises(GraderFailed, match="scripted: no yield"):
        grade(GRADER, "a = 1", "pass", [Scripted(LACKING)])


def test_humaneval_s_form_is_understood() -> None:
    """The prompt first (its imports and helpers), then the reply, the tests, and ``check`` of the entry point."""
    test = "def check(candidate):\n    assert candidate(1) == 2\n"
    case = {"prompt": "import math\n", "test": test, "entry_point": "next_one", "task_id": "HumanEval/0"}
    assert parts_of(case) == (["import math\n"], [test, "check(next_one)"])
    assert parts_of("assert f(1)") == ([], ["assert f(1)"])
    assert parts_of(test + "check(next_one)") == ([], [test + "check(next_one)"])


@pytest.mark.parametrize(
    "expected",
    [None, 5, "", "  ", [], {}, {"test": 1}, {"test": "pass", "entry_point": "f); evil("}, {"test": "x", "prompt": 1},
     "def check(candidate):\n    pass\n"],
)  # fmt: skip
def test_an_expected_value_that_holds_no_tests_is_an_error_that_names_it(expected: object) -> None:
    """Such an item must be left out: a check that nobody calls would pass everything."""
    with pytest.raises(Ungradable, match="expected value"):
        parts_of(expected)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("def f():\n    return 1", "def f():\n    return 1"),
        ("So:\n```python\na = 1\n```\nThat is it.", "a = 1"),
        ("```\na = 1\n```\nor better\n```py\nb = 2\n```", "b = 2"),
        ("~~~\na = '```'\n~~~", "a = '```'"),
        ("````md\n```\na\n```\n````", "```\na\n```"),
        ("1. Do it:\n   ```python\n   a = 1\n   if a:\n       b = 2\n   ```", "a = 1\nif a:\n    b = 2"),
        ("```python\na = 1\nb = ", "a = 1\nb = "),
        ("```\n```", ""),
        ("", ""),
    ],
)
def test_the_last_fenced_block_is_the_code_or_else_all_of_the_reply(reply: str, code: str) -> None:
    """Longer fences hold shorter ones; a block in a list is moved left; one that was cut off counts."""
    assert code_of(reply) == code


@pytest.fixture(scope="module")
def first() -> Sandbox:
    try:
        return next(sandboxes())
    except NoSandbox as error:
        pytest.skip(str(error))


def test_code_is_really_run(first: Sandbox) -> None:
    """In the best sandbox of this machine."""
    right, wrong = "```python\ndef double(n):\n    return 2 * n\n```", "def double(n):\n    return n"
    case = {"test": "def check(candidate):\n    assert candidate(3) == 6", "entry_point": "double"}
    assert grade(GRADER, right, case) and not grade(GRADER, wrong, case)
    assert not grade(GRADER, "I cannot help with that.", case)
    assert not grade(GRADER, "def double(n):\n    while True: pass", case, [first])
    assert not mistakes(GRADER)


def test_code_that_tests_are_swallowed_by_does_not_pass(first: Sandbox) -> None:
    """An open string or block at its end is its own mistake."""
    for reply in ("a = '''", "if False:\n", "a = (", "a = 1 \\"):
        assert not grade(GRADER, reply, "assert False", [first])
