"""The first process inside the sandbox of the operating system: it bounds itself and runs the parts of a program.

Nothing imports this module: its text is handed to an interpreter without any other files than its own library. The
token in the result proves that this module wrote it, not the program.
"""

import json
import os
import resource
import sys
from typing import Any


def main() -> None:
    """Read ``{"parts", "token", "seconds", "memory"}`` from stdin, write ``[token, passed, note]`` to stdout."""
    job = json.loads(sys.stdin.buffer.read())
    out = os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    bound(job["memory"], job["seconds"])
    passed, note = run_parts(job["parts"])
    os.write(out, json.dumps([job["token"], passed, note]).encode())
    os._exit(0)  # not sys.exit: what the program left behind (exit functions, threads) is not waited for


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


def run_parts(parts: list[str]) -> tuple[bool, str]:
    """Run the parts in order; return the outcome and, for a failure, the error."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        for part in parts:
            exec(compile(part, "<program>", "exec"), namespace)  # noqa: S102  # this is the place for it
    except BaseException as error:  # noqa: BLE001  # an exit is an error too: the tests were not reached
        return False, describe(error)
    return True, ""


def describe(error: BaseException) -> str:
    """Return an error in a few words. The program may have defined its text."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}".removesuffix(": ")[:1000]
    except BaseException:  # noqa: BLE001  # its text may fail, too
        return kind


if __name__ == "__main__":
    main()
