"""Our gateway as another checkout has it: a folder with its code, which starts its gateway itself."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import Ground

_START = """
import json, sys
from pathlib import Path
from tests.bench.gateway.preceptor import preceptor
from tests.bench.gateway.upstreams import Ground
folder, cache, fixed, live = sys.argv[1:]
ground = Ground(folder=Path(folder), cache=Path(cache), fixed_port=int(fixed), live_port=int(live))
with preceptor(ground) as target:
    print(json.dumps([target.pid, target.base_url("fixed")]), flush=True)
    sys.stdin.read()
"""
"""Runs in a checkout: its gateway, until the other end of stdin is closed."""


@contextlib.contextmanager
def served(checkout: Path, ground: Ground, folder: Path) -> Iterator[Target]:
    """Start the gateway of a checkout in a folder; the target has the name of the checkout's.

    It runs in the checkout's own ``.venv``, another Python perhaps; without one, in this process' environment.
    """
    folder.mkdir(exist_ok=True)
    own = checkout / ".venv/bin/python"
    python = str(own) if own.exists() else sys.executable
    arguments = [str(folder), str(ground.cache), str(ground.fixed_port), str(ground.live_port)]
    with subprocess.Popen(  # noqa: S603  # this benchmark's own code
        [python, "-c", _START, *arguments], cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        pid, url = json.loads(process.stdout.readline())
        try:
            yield Target(name=checkout.name, pid=pid, base_url=lambda model: url)
        finally:
            process.stdin.close()
