"""The machine and the versions that a result belongs to; without them it is no result."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from gateway import __version__
from tests.bench.gateway.peers import VERSIONS
from tests.bench.gateway.process import ROOT

PACKAGES = ("aiohttp", "httptools", "httpx", "litestar", "msgspec", "uvicorn", "uvloop")


def machine(peers: Sequence[str]) -> dict[str, str]:
    """What ran where."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = {
        "machine": f"{os.cpu_count()} cores, {cpu[1] if cpu else platform.machine()}, {memory:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "preceptor": f"{__version__} ({_said('git', 'describe', '--always', '--dirty')})",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "nginx": _said("nginx", "-v").rpartition("/")[2],
        "wrk": _said("wrk", "-v").partition(" [")[0].removeprefix("wrk "),
    }
    if "portkey" in peers:
        found["node"] = _said("node", "--version")
    return found | {peer: VERSIONS[peer] for peer in peers if peer in VERSIONS}


def _said(*command: str) -> str:
    """The first line that a command prints about itself; some do it on stderr, and with an exit status of 1."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # see above
    return (done.stdout or done.stderr).strip().partition("\n")[0]
