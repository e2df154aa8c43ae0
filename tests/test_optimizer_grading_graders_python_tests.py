"""The grader of code: which code of a reply is run, with which tests, in which sandbox."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.settings.graders import PythonTestsGrader
from optimizer.grading.graders import GraderFailed, Submission, Ungradable
from optimizer.grading.graders.python_tests import PythonTests, code_of, job_of
from optimizer.grading.sandbox.available import sandboxes
from optimizer.grading.sandbox.base import NoSandbox, Sandbox, SandboxJob, SandboxLimits, SandboxRun
from tests.grading import mistakes

GRADER = PythonTestsGrader(timeout_s=2, memory_mb=100)


UNITTEST = """
import unittest
class Case(unittest.TestCase):
    def test_it(self):
        assert double(3) == 6
unittest.main()
"""


class Scripted:
    """A sandbox that says what it is told to say."""

    name = "scripted"

    def __init__(self, outcome: SandboxRun) -> None:
        self.outcome = outcome
        self.runs: list[tuple[SandboxJob, SandboxLimits]] = []

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        self.runs.append((job, limits))
        return self.outcome


def grade(section: PythonTestsGrader, reply: str, expected: Any, available: Sequence[Sandbox] | None = None) -> float:
    grader = PythonTests(section) if available is None else PythonTests(section, lambda: available)
    return grader.grade(Submission(text=reply), expected)


PASSED, FAILED, LACKING = (
    SandboxRun(outcome="passed"),
    SandboxRun(outcome="failed"),
    SandboxRun(outcome="unsupported", note="no yield"),
)


def test_code_is_run_with_its_tests_and_within_the_limits() -> None:
    """The sandbox keeps both apart."""
    sandbox = Scripted(PASSED)
    assert grade(GRADER, "a = 1", "assert a == 1", [sandbox])
    assert sandbox.runs == [
        (SandboxJob(code="a = 1", tests=("assert a == 1",)), SandboxLimits(seconds=2, memory=100_000_000))
    ]
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
    assert job_of(case) == SandboxJob(
        code="", prompt="import math\n", tests=(test, "check(next_one)"), entry_point="next_one"
    )
    assert job_of("assert f(1)") == SandboxJob(code="", tests=("assert f(1)",))
    assert job_of(test + "check(next_one)").tests == (test + "check(next_one)",)


def test_mbpp_s_form_is_understood() -> None:
    """A list of assertions, alone or beside its set-up; the prompt is a sentence there, and no code."""
    asserts = ["assert f(1) == 2", "assert f(2) == 3"]
    assert job_of(asserts).tests == tuple(asserts)
    case = {"prompt": "Write a function to add one.", "test_list": asserts, "test_setup_code": "one = 1",
            "test_imports": ["import math"], "task_id": 2}  # fmt: skip
    assert job_of(case) == SandboxJob(code="", tests=("one = 1", "import math", *asserts))


@pytest.mark.parametrize(
    "expected",
    [None, 5, "", "  ", [], [1], [""], {}, {"test": 1}, {"test_list": "x", "test_setup_code": 1},
     {"test": "pass", "entry_point": "f); evil("}, {"test": "x", "prompt": 1}, "def check(candidate):\n    pass\n"],
)  # fmt: skip
def test_an_expected_value_that_holds_no_tests_is_an_error_that_names_it(expected: object) -> None:
    """Such an item must be left out: a check that nobody calls would pass everything."""
    with pytest.raises(Ungradable, match="expected value"):
        job_of(expected)


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
        ("```python\na = 1\n```\nRun it:\n```bash\npython a.py\n```", "a = 1"),
        ("```\ndef f():\n    pass\n```\nUse it:\n```\nprint(f())\n```", "def f():\n    pass"),
        ("```python\ndef f():\n    pass\n```\n```python\nf()\n```", "def f():\n    pass"),
        ("```json\n{}\n```", "{}"),
        ("```{.python}\na = 1\n```", "a = 1"),
        ("", ""),
    ],
)
def test_the_last_block_with_a_definition_is_the_code_or_else_all_of_the_reply(reply: str, code: str) -> None:
    """Longer fences hold shorter ones, a block in a list is moved left, a block cut off counts, and another language
    does not."""
    assert code_of(reply) == code


def test_the_block_that_defines_the_entry_point_counts() -> None:
    """Whatever is defined after it."""
    reply = "```python\ndef f():\n    pass\n```\nTests:\n```python\ndef test_f():\n    f()\n```"
    assert code_of(reply, "f") == "def f():\n    pass" and "test_f" in code_of(reply)


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


@pytest.mark.parametrize(
    "test",
    [
        "def test_double():\n    assert double(3) == 6",
        ["assert double(3) == 6", "assert double(0) == 0"],
        UNITTEST,
    ],
)
def test_every_common_form_of_tests_is_run(first: Sandbox, test: object) -> None:
    """Wrong code fails each of them, and right code none."""
    with contextlib.suppress(GraderFailed):  # only bubblewrap has unittest
        assert grade(GRADER, "def double(n):\n    return 2 * n", test) == 1.0
        assert grade(GRADER, "def double(n):\n    return n", test) == 0.0


@pytest.mark.parametrize(
    "reply",
    [
        "import sys\nsys._getframe(1).f_locals['parts'][1:] = []",
        "class Any:\n    def __eq__(self, other):\n        return True\ndef double(n):\n    return Any()",
        "def all(values):\n    return True\ndef double(n):\n    return n",
    ],
)
def test_a_reply_cannot_pass_by_changing_its_tests(first: Sandbox, reply: str) -> None:
    """It is wrong, or no sandbox here can tell; it never is right."""
    with contextlib.suppress(GraderFailed):
        assert grade(GRADER, reply, "assert all([double(3) == 6])") == 0.0


def test_code_that_tests_are_swallowed_by_does_not_pass(first: Sandbox) -> None:
    """An open string or block at its end is its own mistake."""
    for reply in ("a = '''", "if False:\n", "a = (", "a = 1 \\"):
        assert not grade(GRADER, reply, "assert False", [first])


def test_the_first_error_is_the_remark() -> None:
    """The sandbox's own note."""
    failed = Scripted(SandboxRun(outcome="failed", note="AssertionError: double(3) == 6"))
    grade = PythonTests(GRADER, lambda: [failed]).assess(
        Submission(text="def double(x): return x"), "assert double(3) == 6"
    )
    assert (grade.score, grade.remark) == (0.0, "AssertionError: double(3) == 6")
