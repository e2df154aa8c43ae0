"""The sandbox of the operating system. That it holds is the battery's to say; here is what it is for."""

import sys
from pathlib import Path

import pytest

from optimizer.grading.sandbox.base import NoSandbox, SandboxJob, SandboxLimits, SandboxRun
from optimizer.grading.sandbox.battery import weaknesses
from optimizer.grading.sandbox.bubblewrap import Bubblewrap, source

CODE = "def double(number):\n    return 2 * number"
PILE = """
class Pile:
    def __init__(self):
        self.held = []
    def push(self, value):
        self.held.append(value)
    def pop(self):
        return self.held.pop()
"""
EMPTY = "class Empty(Exception):\n    pass\ndef take():\n    raise Empty('no')"
PRINTED = """
import contextlib, io
out = io.StringIO()
with contextlib.redirect_stdout(out):
    show()
assert out.getvalue() == "hi\\n"
"""
LIMITS = SandboxLimits(seconds=5, memory=200_000_000)


def run(sandbox: Bubblewrap, code: str, *tests: str, limits: SandboxLimits = LIMITS) -> SandboxRun:
    return sandbox.run(SandboxJob(code=code, tests=tests), limits)


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    try:
        made = Bubblewrap()
        run(made, "pass")
    except NoSandbox as error:
        pytest.skip(str(error))
    return made


def test_it_withstands_the_battery(sandbox: Bubblewrap) -> None:
    """Every attempt, with no exception."""
    assert weaknesses(sandbox) == []


def test_it_knows_all_of_python(sandbox: Bubblewrap) -> None:
    """Generators, classes and the standard library."""
    program = "import string, heapq, dataclasses, re, json, decimal, random, statistics\ndef count():\n    yield 1"
    assert run(sandbox, program, "assert list(count()) == [1]").outcome == "passed"


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(n):\n    return 2 * n", "def test_f():\n    assert f(2) == 4"),
        ("def sort(x):\n    x.sort()", "a = [3, 1]\nsort(a)\nassert a == [1, 3]"),
        ("def twice(f, x):\n    return f(f(x))", "assert twice(lambda n: n + 1, 1) == 3"),
        (PILE, "pile = Pile()\npile.push(5)\nassert pile.pop() == 5 and isinstance(pile, Pile)"),
        (EMPTY, "import pytest\ndef test():\n    with pytest.raises(Empty, match='no'):\n        take()"),
        ("def show():\n    print('hi')", PRINTED),
    ],
)
def test_code_and_tests_meet_across_two_processes(sandbox: Bubblewrap, code: str, test: str) -> None:
    """Values, changed arguments, functions, objects, errors and output."""
    assert run(sandbox, code, test) == SandboxRun(outcome="passed")


def test_the_program_inside_is_whole() -> None:
    """Its modules stand in one text, without imports of each other."""
    compile(source(), "<inside>", "exec")
    assert "optimizer.grading" not in source().replace('"""', "").split("import", 1)[1].split("class", 1)[0]


def test_the_first_error_ends_a_program_and_is_its_note(sandbox: Bubblewrap) -> None:
    """In one line."""
    ended = run(sandbox, "a = 1", "assert a == 2, 'first\\nsecond'", "boom")
    assert (ended.outcome, ended.note) == ("failed", "AssertionError: first")


@pytest.mark.parametrize(
    "program",
    [
        "import ctypes\nctypes.string_at(0)",
        "import os\nos.abort()",
        "text = '\ud800'",
        "import os\nos.write(3, b'x' * 10_000_000)\nos._exit(0)",
        "import os\nos.write(3, b'5')\nos._exit(0)",
        "import os\nos.write(3, b'[' * 8000)\nos._exit(0)",
        'import os\nos.write(3, b\'["", true, "\\xff"]\')\nos._exit(0)',
        "import os\n[os.close(number) for number in range(3, 9)]",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        "while True:\n    try:\n        x = list(range(10**9))\n    except MemoryError:\n        pass",
    ],
)
def test_a_program_that_breaks_the_interpreter_has_failed(sandbox: Bubblewrap, program: str) -> None:
    """By a signal, by noise on every open file, by swallowing every limit."""
    ended = run(sandbox, program, "assert False", limits=SandboxLimits(seconds=0.5, memory=100_000_000))
    assert ended.outcome == "failed"


@pytest.mark.parametrize(
    "program",
    [
        "import os\nassert os.listdir('/proc')",
        "import os\nassert os.listdir('/sys')",
        "import os\nassert os.listdir('/dev') != ['null']",
        "import os\nassert os.listdir('/etc') != ['ld.so.cache']",
        "import os\nassert os.getppid() > 1",
        "import os\nos.setuid(0)",
        "import os\nassert os.getuid() != 65534",
        "import os\nos.memfd_create('x')",
        "import os\nos.unshare(0)" if sys.version_info >= (3, 12) else "import os\nos.chroot('/')",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import os, sys\nos.unlink(sys.executable)",
        "import threading\nthreading.Thread(target=print).start()",
        "import asyncio\nasyncio.run(asyncio.sleep(0))",
        "import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
    ],
)
def test_there_is_nothing_to_reach_for(sandbox: Bubblewrap, program: str) -> None:
    """No processes, devices or privileges, and no way back to them."""
    assert run(sandbox, program).outcome == "failed"


def test_nobody_s_packages_are_in_sight(sandbox: Bubblewrap) -> None:
    """Neither the gateway's own nor the system's."""
    home = str(Path(__file__).parents[1])
    program = (
        f"import os, sys\nfound = [name for root, names, _ in os.walk('/') for name in names if 'msgspec' in name]\n"
        f"assert not found and not os.path.exists({home!r}), found"
    )
    assert run(sandbox, program).outcome == "passed"


def test_where_it_does_not_work_it_says_so(sandbox: Bubblewrap) -> None:
    """A sandbox that cannot start is no failed program."""
    sandbox = Bubblewrap()
    sandbox._command = [sandbox._command[0], "--ro-bind", "/nowhere", "/nowhere", "--"]
    with pytest.raises(NoSandbox, match="bubblewrap does not work here: bwrap: "):
        run(sandbox, "pass")


def test_where_it_is_not_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is empty here."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoSandbox, match="install the system's package bubblewrap"):
        Bubblewrap()
