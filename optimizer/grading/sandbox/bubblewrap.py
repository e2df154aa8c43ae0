"""A real Python in namespaces of its own, through ``bwrap``: it sees its own library, read-only, and nothing else.

No file can be written, there is no network, no environment, no process but its own, and it cannot make another one
(``seccomp``). Needs Linux with user namespaces; about 40 ms a program.
"""

import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import product
from pathlib import Path

import msgspec

from optimizer.grading.sandbox import seccomp
from optimizer.grading.sandbox.base import NoSandbox, SandboxLimits, SandboxRun, first_line

_GRACE_S = 1.0  # to set the sandbox up
_LONGEST = 8192  # bytes that are read of what comes out
_PACKAGES = ("site-packages", "dist-packages")
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
        self._inside = resources.files(__package__).joinpath("inside.py").read_text(encoding="utf-8")

    def run(self, parts: Sequence[str], limits: SandboxLimits) -> SandboxRun:
        token = secrets.token_hex(16)
        job = {"parts": list(parts), "token": token, "seconds": limits.seconds, "memory": limits.memory}
        out, complaint = self._process(json.dumps(job).encode(), limits.seconds + _GRACE_S)
        answered, passed, note = _verdict(out)
        if answered != token:
            if complaint:
                raise NoSandbox(f"bubblewrap does not work here: {first_line(complaint)}")
            return SandboxRun(
                outcome="failed", note=f"ended by itself, or was ended after {limits.seconds:g} s, before its end"
            )
        return SandboxRun(outcome="passed") if passed else SandboxRun(outcome="failed", note=first_line(note))

    def _process(self, job: bytes, seconds: float) -> tuple[bytes, str]:
        """Return the sandbox's output, and the complaints of ``bwrap`` or the interpreter before the program began."""
        calls = _memory_file(self._filter)
        try:
            process = subprocess.Popen(  # noqa: S603  # our own command line; the program goes through stdin
                [*self._command[:1], "--seccomp", str(calls), *self._command[1:], "-c", self._inside],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                pass_fds=(calls,),
            )
        except OSError as error:
            raise NoSandbox(f"bubblewrap does not start: {error}") from error
        finally:
            os.close(calls)
        alarm = threading.Timer(seconds, process.kill)
        alarm.start()
        with process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            try:
                process.stdin.write(job)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it ended before it had read all; what it complained about says why
            out = process.stdout.read(_LONGEST)
            if len(out) == _LONGEST:
                process.kill()
            process.wait()  # not killed unless need be: nobody might be there to collect what it leaves behind
            alarm.cancel()
            return out, process.stderr.read(_LONGEST).decode(errors="replace")


def _verdict(out: bytes) -> tuple[str, bool, str]:
    """Return the token, the outcome and the note; an empty token for any other text, written by the program."""
    try:
        return msgspec.json.decode(out, type=tuple[str, bool, str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", False, ""


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
