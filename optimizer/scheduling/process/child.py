"""The learning process of a gateway: ``python -m optimizer.scheduling.process.child FD``, started by ``parent``.

``FD`` is its end of the socket. It works until the connection ends; the store has the unfinished work for the next
process.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys

from gateway.upstream.llamacpp_child import die_with_parent

NICE = 10
"""How much learning gives way where it shares a core with those who are served: a tenth of the core is left to it."""


def main() -> None:
    """Learn until the gateway is gone. Exits with status 1 on failure; the last line on stderr gives the reason."""
    for number in (signal.SIGINT, signal.SIGHUP):  # what a terminal sends to all is for the gateway
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        os.nice(NICE)
    os.dup2(2, 1)  # what a user's grader prints is no output of the gateway's
    from gateway import heap, logs  # a Ctrl-C must not come before this process lets it pass
    from optimizer.scheduling.process.work import work

    heap.keep_small()
    logs.configure()
    with socket.socket(fileno=int(sys.argv[1])) as end:
        sys.exit(asyncio.run(work(end)))


if __name__ == "__main__":
    main()
