"""The program inside a sandbox, here with harmless code in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optimizer.grading.sandbox.bubblewrap import source


def verdict(code: str, *tests: str, memory: int = 300_000_000, seconds: float = 5) -> list[Any] | None:
    """Return the verdict on code and tests; ``None`` without any."""
    code_reads, tests_write = os.pipe()
    tests_read, code_writes = os.pipe()
    bounds = {"memory": memory, "seconds": seconds}
    jobs: list[dict[str, Any]] = [
        {"role": "code", "sources": [code], "read": code_reads, "write": code_writes, **bounds},
        {"role": "tests", "sources": tests, "prompt": "", "entry_point": "", "token": "t0", "read": tests_read,
         "write": tests_write, **bounds},
    ]  # fmt: skip
    processes = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-B", "-c", source()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, pass_fds=(job["read"], job["write"]),
        )
        for job in jobs
    ]  # fmt: skip
    for file in (code_reads, tests_write, tests_read, code_writes):
        os.close(file)
    for process, job in zip(processes, jobs, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        process.stdin = None
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in outputs] == [b"", b""] and outputs[0][0] == b""
    found: list[Any] | None = json.loads(outputs[1][0]) if outputs[1][0] else None
    return found


def test_all_tests_must_reach_their_end() -> None:
    """The verdict carries the token of the job."""
    assert verdict("a = 1", "assert a == 1") == ["t0", "passed", ""]
    assert verdict("a = 1", "assert a == 1", "assert a == 2, 'not two'") == ["t0", "failed", "AssertionError: not two"]
    assert verdict("a = 1", "assert a == 2") == ["t0", "failed", "AssertionError"]


@pytest.mark.parametrize(
    ("program", "note"),
    [
        ("a = (", "SyntaxError: "),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E", "E"),
        ("with open('made', 'w') as file:\n    file.write('x')", "OSError: "),
        ("text = 'a' * 400000000", "MemoryError"),
        ("raise ValueError('x' * 100000)", "ValueError: xxx"),
    ],
)
@pytest.mark.parametrize("as_test", [False, True])
def test_an_early_end_is_the_error_of_a_program(
    program: str, note: str, as_test: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit too, or an error without a text; in the code as in the tests."""
    monkeypatch.chdir(tmp_path)
    ended = verdict("pass", program) if as_test else verdict(program, "pass")
    assert ended is not None and ended[1] == "failed"
    assert ended[2].startswith(note) and len(ended[2]) <= 1000


def test_output_of_a_program_is_no_verdict() -> None:
    """It goes nowhere, and leaving without a verdict is a failure of the tests."""
    assert verdict('print(\'["t0", "passed", ""]\')', "assert False") == ["t0", "failed", "AssertionError"]
    assert verdict("import os\nos._exit(0)", "pass") == ["t0", "failed", "LineEnded: the reply's code has ended"]
    assert verdict("def f():\n    import os\n    os._exit(0)", "f()") == [
        "t0",
        "failed",
        "LineEnded: the reply's code has ended",
    ]
    assert verdict("pass", "import os\nos._exit(0)") is None


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys._getframe(1).f_locals['sources'][:] = []",
        "import builtins\nbuiltins.compile = lambda *given: 'pass'",
        "def all(values):\n    return True",
        "def test_result():\n    pass",
        "import unittest\nunittest.TestCase.run = print",
    ],
)
def test_the_code_does_not_reach_its_tests(code: str) -> None:
    """Neither through frames nor through names that both use."""
    wrong = f"{code}\ndef double(number):\n    return 5"
    assert verdict(wrong, "assert all([double(2) == 4])") == ["t0", "failed", "AssertionError"]
    assert verdict(wrong, "def test_result():\n    assert double(2) == 4") == ["t0", "failed", "AssertionError"]


def test_a_program_that_works_for_ever_is_ended() -> None:
    """By its own limit of processor time, if nobody comes before."""
    assert verdict("pass", "while True:\n    pass", seconds=0) is None


@pytest.mark.drill
def test_a_reply_that_works_for_ever_fails_its_tests() -> None:
    """The line to it ends with its processor time, and the tests go on."""
    assert verdict("while True:\n    pass", "pass", seconds=0) == [
        "t0",
        "failed",
        "LineEnded: the reply's code has ended",
    ]
