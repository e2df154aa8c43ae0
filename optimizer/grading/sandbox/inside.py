"""The first process inside a sandbox of the operating system: it bounds itself, then runs the code or its tests.

Nothing imports this module: its text, behind that of the modules that it needs, is handed to an interpreter without any
other files than its own library. The token in the verdict proves that this module wrote it; the reply's code, in a
sandbox of its own, never sees the token, the tests or the file on which the verdict is written.
"""

import builtins
import json
import os
import resource
import sys
from typing import Any

from optimizer.grading.sandbox.peer import Peer
from optimizer.grading.sandbox.remote import Unsupported
from optimizer.grading.sandbox.suite import run_tests


def main() -> None:
    """Read a job from stdin: ``role`` (``code`` or ``tests``), ``sources``, ``read`` and ``write`` (the line between
    both), ``memory``, ``seconds`` and, for tests, ``prompt``, ``entry_point`` and ``token``."""
    job = json.loads(sys.stdin.buffer.read())
    out = os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    reader, writer = os.fdopen(job["read"], "rb"), os.fdopen(job["write"], "wb")
    bound(job["memory"], job["seconds"])
    sys.set_int_max_str_digits(0)
    peer = Peer(reader, writer, trusted=job["role"] == "tests")
    if job["role"] == "code":
        run_code(job["sources"], peer)
    else:
        outcome, note = check(job, peer)
        os.write(out, json.dumps([job["token"], outcome, note]).encode())
    os._exit(0)  # not sys.exit: exit functions and threads left behind are not waited for


def bound(memory: int, seconds: float) -> None:
    """Set limits for good. Files cannot be written at all, memory files neither."""
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        resource.setrlimit(limit, (most, most))


def run_code(sources: list[str], peer: Peer) -> None:
    """Run the reply's code, hand out its names, and serve the tests' calls."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        for source in sources:
            exec(compile(source, "<program>", "exec"), namespace)  # noqa: S102  # this is the place for it
    except BaseException as error:  # noqa: BLE001  # an exit is an error, too: the tests cannot run
        peer.announce(describe(error))
        return
    peer.announce({name: value for name, value in namespace.items() if not name.startswith("__")})
    peer.serve()


def check(job: dict[str, Any], peer: Peer) -> tuple[str, str]:
    """Run the tests on the code of the other process; return the outcome and a note."""
    namespace: dict[str, Any] = {}
    try:
        names = peer.announced()
        if not isinstance(names, dict):
            return "failed", str(names)
        if job["prompt"]:
            exec(compile(job["prompt"], "<prompt>", "exec"), namespace)  # noqa: S102  # helpers of the tests' author
        for name, value in names.items():
            if name == job["entry_point"] or (name not in namespace and not hasattr(builtins, name)):
                namespace[name] = value
        run_tests(job["sources"], namespace)
    except Unsupported as error:
        return "unsupported", str(error)
    except BaseException as error:  # noqa: BLE001  # an exit is an error, too: the tests did not end
        return "failed", describe(error)
    return "passed", ""


def describe(error: BaseException) -> str:
    """Return an error in a few words. The program may have defined its text."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}".removesuffix(": ")[:1000]
    except BaseException:  # noqa: BLE001  # its text may fail, too
        return kind


if __name__ == "__main__":
    main()
