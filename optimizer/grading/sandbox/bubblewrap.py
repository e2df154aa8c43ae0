"""A real Python in namespaces of its own, through ``bwrap``: it sees its own library, read-only, and nothing else.

A reply's code and its tests run in two such sandboxes with a line between them (``peer``): the code reaches neither
the tests nor the verdict.

No file can be written, there is no network, no environment, no process but its own, and it cannot make another one
(``seccomp``). Needs Linux with user namespaces; two processes a program, about 100 ms.
"""

import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import resources
from itertools import product
from pathlib import Path
from typing import IO, Any

import msgspec

from optimizer.grading.sandbox import seccomp
from optimizer.grading.sandbox.base import NoSandbox, Outcome, SandboxJob, SandboxLimits, SandboxRun, first_line

_GRACE_S = 1.0  # to set the sandbox up
_LONGEST = 8192  # bytes that are read of what comes out
_PACKAGES = ("site-packages", "dist-packages")
_INSIDE = ("remote", "values", "peer", "suite", "inside")
_ISOLATED = ("-I", "-S", "-B")  # no environment, no site packages, nothing written


class Bubblewrap:
    """Implements ``Sandbox``."""

    name = "bubblewrap"

    def __init__(self) -> None:
        """Raises ``NoSandbox`` on a machine without support."""
        command = shutil.which("bwrap")
        if command is None:
            raise NoSandbox("bubblewrap is not installed: install the system's package bubblewrap")
        try:
            self._filter = seccomp.filter_for(platform.machine())
        except KeyError as error:
            raise NoSandbox(f"bubblewrap is not supported on {platform.machine()}") from error
        self._command = [command, *_view(Path(sys.executable).resolve(), Path(sys.base_prefix).resolve())]
        self._inside = source()

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        token = secrets.token_hex(16)
        bounds = {"seconds": limits.seconds, "memory": limits.memory}
        code = {"role": "code", "sources": [part for part in (job.prompt, job.code) if part]}
        tests = {
            "role": "tests", "sources": job.tests, "prompt": job.prompt, "entry_point": job.entry_point, "token": token,
        }  # fmt: skip
        out, complaint = self._pair(code | bounds, tests | bounds, limits.seconds + _GRACE_S)
        answered, outcome, note = _verdict(out)
        if answered == token:
            return SandboxRun(outcome=outcome, note=first_line(note))
        if complaint:
            raise NoSandbox(f"bubblewrap does not work here: {first_line(complaint)}")
        return SandboxRun(outcome="failed", note=f"ended by itself, or was ended after {limits.seconds:g} s")

    def _pair(self, code: dict[str, Any], tests: dict[str, Any], seconds: float) -> tuple[bytes, str]:
        """Run code and tests in two sandboxes with a line between them; return the tests' output, and complaints of
        ``bwrap`` or the interpreter before either began."""
        code_reads, tests_write = os.pipe()
        tests_read, code_writes = os.pipe()
        with ExitStack() as stack:
            try:
                replying = stack.enter_context(self._started(code_reads, code_writes))
                testing = stack.enter_context(self._started(tests_read, tests_write))
            finally:
                for file in (code_reads, tests_write, tests_read, code_writes):
                    os.close(file)
            processes = (replying, testing)
            alarm = threading.Timer(seconds, _kill, processes)
            alarm.start()
            _hand(replying, code | {"read": code_reads, "write": code_writes})
            _hand(testing, tests | {"read": tests_read, "write": tests_write})
            out = _read(testing.stdout)
            if len(out) == _LONGEST:
                testing.kill()
            try:
                replying.wait(_GRACE_S)  # it ends with its tests; a killed one might leave a process behind
            except subprocess.TimeoutExpired:
                replying.kill()
            for process in processes:
                process.wait()
            alarm.cancel()
            return out, "".join(_read(process.stderr).decode(errors="replace") for process in processes)

    def _started(self, reads: int, writes: int) -> subprocess.Popen[bytes]:
        """Start a sandbox that inherits the two ends of its line. Raises ``NoSandbox``."""
        calls = _memory_file(self._filter)
        try:
            return subprocess.Popen(  # noqa: S603  # our own command line; the program goes through stdin
                [*self._command[:1], "--seccomp", str(calls), *self._command[1:], "-c", self._inside],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                pass_fds=(calls, reads, writes),
            )
        except OSError as error:
            raise NoSandbox(f"bubblewrap does not start: {error}") from error
        finally:
            os.close(calls)


def _kill(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.kill()


def source() -> str:
    """Return the program that runs inside: its modules in one text, without the imports between them."""
    modules = [resources.files(__package__).joinpath(f"{name}.py").read_text("utf-8") for name in _INSIDE]
    return re.sub(rf"^from {re.escape(__package__)}\..*\n", "", "\n".join(modules), flags=re.MULTILINE)


def _hand(process: subprocess.Popen[bytes], job: dict[str, Any]) -> None:
    """Write a job to a process's stdin."""
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended before it had read all; its complaint gives the reason


def _read(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.read(_LONGEST)


def _verdict(out: bytes) -> tuple[str, Outcome, str]:
    """Return the token, the outcome and the note; an empty token for any other text, written by the program."""
    try:
        return msgspec.json.decode(out, type=tuple[str, Outcome, str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", "failed", ""


def _memory_file(content: bytes) -> int:
    """Return a file without a name, with ``content``, positioned at its start."""
    file = os.memfd_create("seccomp")
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _view(python: Path, prefix: Path) -> list[str]:
    """Return the options of ``bwrap`` and the interpreter: a root of its own with libraries, nothing writable."""
    return [
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        *("--cap-drop", "ALL"),
        *("--uid", "65534", "--gid", "65534"),
        *_libraries(prefix),
        *("--ro-bind", str(python), str(python)),
        *("--dev-bind", "/dev/null", "/dev/null"),
        *("--remount-ro", "/"),
        "--",
        str(python),
        *_ISOLATED,
    ]


def _libraries(prefix: Path) -> Iterator[str]:
    """Yield options for the libraries of the system and of Python, without installed packages."""
    folders = [Path(name) for name in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")]
    for folder in dict.fromkeys([*folders, prefix / "lib"]):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.exists():
            yield from ("--ro-bind", str(folder), str(folder))
    versions = (f"python{sys.version_info.major}.{sys.version_info.minor}", f"python{sys.version_info.major}")
    for library, version, packages in product(dict.fromkeys([Path("/usr/lib"), prefix / "lib"]), versions, _PACKAGES):
        folder = library / version / packages
        if folder.is_dir():
            yield from ("--tmpfs", str(folder), "--remount-ro", str(folder))
