"""The interpreter without a machine. That it holds is the battery's to say; here is what it is for."""

import sys

import pytest

from optimizer.grading.sandbox.base import NoSandbox, SandboxLimits
from optimizer.grading.sandbox.battery import weaknesses
from optimizer.grading.sandbox.monty import Monty

LIMITS = SandboxLimits(seconds=2, memory=100_000_000)


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
    assert sandbox.run([program, "b = Box(2)", "assert b.n == math.isqrt(4)"], LIMITS).outcome == "passed"


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
    assert sandbox.run([program], LIMITS).outcome == "unsupported"


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
    run = sandbox.run([program, "pass"], LIMITS)
    assert run.outcome == "failed" and run.note.startswith(said) and "\n" not in run.note


def test_the_value_of_a_program_stays_where_it_is(sandbox: Monty) -> None:
    """Even one that could not be copied out."""
    for program in ("[0] * 1000000", "x = []\nx.append(x)\nx", "lambda: 1"):
        assert sandbox.run([program], LIMITS).outcome == "passed"


def test_where_it_is_not_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it."""
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(NoSandbox, match=r"install 'preceptor\[code\]'"):
        Monty()
