"""The sandbox of the operating system. That it holds is the battery's to say; here is what it is for."""

import sys
from pathlib import Path

import pytest

from optimizer.grading.sandbox.base import NoSandbox, SandboxLimits
from optimizer.grading.sandbox.battery import weaknesses
from optimizer.grading.sandbox.bubblewrap import Bubblewrap

LIMITS = SandboxLimits(seconds=5, memory=200_000_000)


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    try:
        made = Bubblewrap()
        made.run(["pass"], LIMITS)
    except NoSandbox as error:
        pytest.skip(str(error))
    return made


def test_it_withstands_the_battery(sandbox: Bubblewrap) -> None:
    """Every attempt, with no exception."""
    assert weaknesses(sandbox) == []


def test_it_knows_all_of_python(sandbox: Bubblewrap) -> None:
    """Generators, classes and the standard library."""
    program = "import string, heapq, dataclasses, re, json, decimal, random, statistics\ndef count():\n    yield 1"
    assert sandbox.run([program, "assert list(count()) == [1]"], LIMITS).outcome == "passed"


def test_the_first_error_ends_a_program_and_is_its_note(sandbox: Bubblewrap) -> None:
    """In one line."""
    run = sandbox.run(["a = 1", "assert a == 2, 'first\\nsecond'", "boom"], LIMITS)
    assert (run.outcome, run.note) == ("failed", "AssertionError: first")


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
    run = sandbox.run([program, "assert False"], SandboxLimits(seconds=0.5, memory=100_000_000))
    assert run.outcome == "failed"


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
    assert sandbox.run([program], LIMITS).outcome == "failed"


def test_nobody_s_packages_are_in_sight(sandbox: Bubblewrap) -> None:
    """Neither the gateway's own nor the system's."""
    home = str(Path(__file__).parents[1])
    program = (
        f"import os, sys\nfound = [name for root, names, _ in os.walk('/') for name in names if 'msgspec' in name]\n"
        f"assert not found and not os.path.exists({home!r}), found"
    )
    assert sandbox.run([program], LIMITS).outcome == "passed"


def test_where_it_does_not_work_it_says_so(sandbox: Bubblewrap) -> None:
    """A sandbox that cannot start is no failed program."""
    sandbox = Bubblewrap()
    sandbox._command = [sandbox._command[0], "--ro-bind", "/nowhere", "/nowhere", "--"]
    with pytest.raises(NoSandbox, match="bubblewrap does not work here: bwrap: "):
        sandbox.run(["pass"], LIMITS)


def test_where_it_is_not_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is empty here."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoSandbox, match="install the system's package bubblewrap"):
        Bubblewrap()
