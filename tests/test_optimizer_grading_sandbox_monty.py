"""The interpreter without a machine. That it holds is the battery's to say; here is what it is for."""

import sys

import pytest

from optimizer.grading.sandbox.base import NoSandbox, SandboxJob, SandboxLimits, SandboxRun
from optimizer.grading.sandbox.battery import weaknesses
from optimizer.grading.sandbox.monty import Monty

CODE = "def double(number):\n    return 2 * number"
LIMITS = SandboxLimits(seconds=2, memory=100_000_000)


def run(sandbox: Monty, code: str, *tests: str, limits: SandboxLimits = LIMITS) -> SandboxRun:
    return sandbox.run(SandboxJob(code=code, tests=tests), limits)


@pytest.fixture(scope="module")
def sandbox() -> Monty:
    try:
        return Monty()
    except NoSandbox as error:
        pytest.skip(str(error))


def test_it_withstands_the_battery(sandbox: Monty) -> None:
    """Every attempt, with no exception."""
    assert weaknesses(sandbox) == []


def test_it_runs_what_most_solutions_need(sandbox: Monty) -> None:
    """Functions, classes, and a few modules; each part sees what the ones before it defined."""
    program = "import math, re, collections\nclass Box:\n    def __init__(self, n):\n        self.n = n"
    both = run(sandbox, program + "\ndef size(n):\n    return Box(n).n", "s = size(2)", "assert s == 2")
    assert both.outcome == "passed"


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("class Box:\n    pass\ndef f():\n    return Box()", "f()"),
        ("def f(g):\n    return g(1)", "f(lambda n: n)"),
        ("def f(x):\n    x.append(1)", "f([])"),
        (CODE, "import unittest"),
        (CODE, "class TestDouble:\n    pass"),
        ("from collections import Counter\ndef f():\n    return Counter('a')", "assert f() == 5"),
    ],
)
def test_more_than_plain_data_between_code_and_tests_is_for_another_sandbox(
    sandbox: Monty, code: str, test: str
) -> None:
    """Neither right nor wrong here."""
    assert run(sandbox, code, test).outcome == "unsupported"


def test_test_functions_are_called(sandbox: Monty) -> None:
    """As pytest does."""
    test = "def test_double():\n    assert double(2) == 4"
    assert run(sandbox, CODE, test).outcome == "passed"
    assert run(sandbox, "def double(number):\n    return number", test).outcome == "failed"


def test_the_prompt_helps_both_and_its_function_is_the_reply_s(sandbox: Monty) -> None:
    """HumanEval's prompts hold helpers, and the head of the function to write."""
    prompt = "def helper(n):\n    return n + 1\ndef after(n):\n    'The next number.'\n"
    tests = ("def check(candidate):\n    assert candidate(1) == helper(1)", "check(after)")
    for code, outcome in (("return helper(n)", "passed"), ("return n\ndef helper(n):\n    return n", "failed")):
        job = SandboxJob(code=f"def after(n):\n    {code}", tests=tests, prompt=prompt, entry_point="after")
        assert sandbox.run(job, LIMITS).outcome == outcome


@pytest.mark.parametrize(
    "program",
    [
        "def count():\n    yield 1\nlist(count())",
        "import string",
        "bytearray(1)",
        "'a'.__class__",
        "object()",
        "import numpy",
    ],
)
def test_what_it_lacks_is_not_held_against_the_program(sandbox: Monty, program: str) -> None:
    """Another sandbox may have it."""
    assert run(sandbox, program).outcome == "unsupported"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("a = (", "SyntaxError: "),
        ("Sure! Here is the function.", "SyntaxError: "),
        ("lst = List[int]", "NameError: name 'List' is not defined"),
        ("1 / 0", "ZeroDivisionError: "),
        ("def f(): return f()\nf()", "RecursionError: "),
        ("raise ValueError('first\\nsecond')", "ValueError: first"),
    ],
)
def test_a_program_s_own_errors_are_failures(sandbox: Monty, program: str, said: str) -> None:
    """The note is one line."""
    ended = run(sandbox, program, "pass")
    assert ended.outcome == "failed" and ended.note.startswith(said) and "\n" not in ended.note


def test_the_value_of_a_program_stays_where_it_is(sandbox: Monty) -> None:
    """Even one that could not be copied out."""
    for program in ("[0] * 1000000", "x = []\nx.append(x)\nx", "lambda: 1"):
        assert run(sandbox, program).outcome == "passed"


def test_where_it_is_not_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it."""
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(NoSandbox, match=r"install 'preceptor\[code\]'"):
        Monty()
