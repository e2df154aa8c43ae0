"""The limit on open files of this process, raised as far as it may: each connection takes one file.

Many systems start a program with 1,024 open files and allow far more. At the limit, accepting a connection fails, and
clients are reset without a word.
"""

import logging
import resource
from typing import Final

from gateway.settings import Server

log = logging.getLogger(__name__)

WANTED: Final = 65_536
"""Open files to ask for: more than any cap on connections needs."""
_MOST_CONNECTIONS: Final = 10_000


def raise_file_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit on open files towards the hard limit, ``wanted`` at most; return the limit in effect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft >= target:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError) as error:  # a sandbox may forbid it
        log.warning("the limit on open files stays at %d: %s", soft, error, extra={"action": "server.files"})
        return soft
    return target


def connection_cap(server: Server, files: int) -> int:
    """Return the most client connections: as configured, else half of the open files; upstreams need the other half."""
    return server.max_connections or max(1, min(_MOST_CONNECTIONS, files // 2))
