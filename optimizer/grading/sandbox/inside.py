"""What runs a program inside the sandbox of the operating system, as the first process there.

Nothing imports this module: its text is handed to an interpreter that sees nothing but its own library. It bounds
itself, runs the parts of the program, and writes how that ended. The token tells its words from the program's.
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
    passed, note = ran(job["parts"])
    os.write(out, json.dumps([job["token"], passed, note]).encode())
    os._exit(0)  # not sys.exit: what the program left behind (exit functions, threads) is not waited for


def bound(memory: int, seconds: float) -> None:
    """Limits that the process cannot take back. Files cannot be written at all, memory files neither."""
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        resource.setrlimit(limit, (most, most))


def ran(parts: list[str]) -> tuple[bool, str]:
    """Whether every part ran to its end, and what went wrong otherwise."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        for part in parts:
            exec(compile(part, "<program>", "exec"), namespace)  # noqa: S102  # this is the place for it
    except BaseException as error:  # noqa: BLE001  # an exit is an error too: the tests were not reached
        return False, said(error)
    return True, ""


def said(error: BaseException) -> str:
    """The error in a few words; the program may have defined how it reads."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}".removesuffix(": ")[:1000]
    except BaseException:  # noqa: BLE001  # the same
        return kind


if __name__ == "__main__":
    main()
