"""What runs inside the sandbox, here with harmless programs in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optimizer.grading.sandbox import inside


def ran(*parts: str, memory: int = 300_000_000, seconds: float = 5) -> list[Any] | None:
    """The verdict on a program; ``None`` if there was none."""
    job = {"parts": parts, "token": "t0", "memory": memory, "seconds": seconds}
    command = [sys.executable, "-I", "-S", "-B", inside.__file__]
    done = subprocess.run(  # noqa: S603
        command, input=json.dumps(job).encode(), capture_output=True, timeout=60, check=False
    )
    assert done.stderr == b""
    verdict: list[Any] | None = json.loads(done.stdout) if done.stdout else None
    return verdict


def test_parts_share_one_namespace_and_all_must_reach_their_end() -> None:
    """The verdict carries the token of the job."""
    assert ran("a = 1", "assert a == 1") == ["t0", True, ""]
    assert ran("a = 1", "assert a == 2, 'not two'") == ["t0", False, "AssertionError: not two"]
    assert ran("a = 1", "assert a == 2") == ["t0", False, "AssertionError"]


@pytest.mark.parametrize(
    ("program", "said"),
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
def test_whatever_ends_a_program_early_is_its_error(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit too, or an error that does not want to be shown."""
    monkeypatch.chdir(tmp_path)
    verdict = ran(program, "pass")
    assert verdict is not None and verdict[1] is False
    assert verdict[2].startswith(said) and len(verdict[2]) <= 1000


def test_what_a_program_prints_is_no_verdict() -> None:
    """Output goes nowhere, and leaving without a verdict is none."""
    assert ran('print(\'["t0", true, ""]\')', "assert False") == ["t0", False, "AssertionError"]
    assert ran("import os\nos._exit(0)") is None


def test_a_program_that_works_for_ever_is_ended() -> None:
    """By its own limit of processor time, if nobody comes before."""
    assert ran("while True:\n    pass", seconds=0) is None
