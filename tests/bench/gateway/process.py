"""Processes on cores: started, waited for, watched and ended. Knows nothing of what they do."""

import contextlib
import os
import re
import resource
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
GATEWAY_CORE, LOAD_CORE = 0, 1
"""What is measured has a core to itself; the model servers and the load share the other."""
START_S = 120
STOP_S = 30
SAMPLE_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(core: int | str, *command: str, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A process on one core, or on several as ``taskset`` writes them; its output goes to a file.

    Yields its id and ends it afterwards.
    """
    pinned = ("taskset", "-c", str(core), *command)
    with log.open("ab") as file:
        running = subprocess.Popen(  # noqa: S603  # the commands stand in this benchmark
            pinned, cwd=ROOT, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    try:
        yield running.pid
    finally:
        running.terminate()
        try:
            running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(STOP_S)


def wait_for(url: str, pid: int, log: Path) -> float:
    """Wait until an address answers, whatever it says; returns the seconds. Raises when the process has ended."""
    began = time.monotonic()
    while time.monotonic() - began < START_S:
        with contextlib.suppress(OSError):
            try:
                with urllib.request.urlopen(url, timeout=10):  # noqa: S310  # an address on loopback
                    pass
            except urllib.error.HTTPError:
                pass
            return time.monotonic() - began
        if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.02)
    raise click.ClickException(f"{url} does not answer; the end of its log:\n{log.read_text(errors='replace')[-2000:]}")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in children.read_text(encoding="utf-8").split()]
    return found


def rss_mb(pid: int) -> float:
    """Resident memory of a process and all that it started, in MB (10^6 bytes)."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{member}/status").read_text(encoding="utf-8")
            total += sum(int(kilobytes) for kilobytes in re.findall(r"VmRSS:\s+(\d+) kB", status))
    return total * 1024 / 1e6


def cpu_s(pid: int) -> tuple[float, float]:
    """Processor time that a process and all that it started have used, in seconds: their own code's, and all."""
    user = system = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            user, system = user + int(fields[11]), system + int(fields[12])
    return user / TICKS, (user + system) / TICKS


def core_user_s(core: int) -> float:
    """Time that a core spent in programs, or that another machine took from it, in seconds since the start."""
    line = re.search(rf"^cpu{core} (.*)$", Path("/proc/stat").read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None, "taskset found this core"
    user, nice, _, _, _, _, _, stolen, *_ = map(int, line[1].split())
    return (user + nice + stolen) / TICKS


def output(*command: str, given: str = "", watched: int | None = None) -> tuple[str, float]:
    """What a command on the load's core prints, and the most memory that a watched process had meanwhile, in MB."""
    pinned = ("taskset", "-c", str(LOAD_CORE), *command)
    running = subprocess.Popen(  # noqa: S603  # the commands stand in this benchmark
        pinned, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    most = 0.0
    left: str | None = given
    while True:
        try:
            said, complained = running.communicate(left, timeout=SAMPLE_S)
        except subprocess.TimeoutExpired:
            left = None
            most = max(most, rss_mb(watched) if watched else 0.0)
            continue
        if running.returncode:
            raise click.ClickException(f"{command[0]} failed: {complained[-1000:]}")
        return said, max(most, rss_mb(watched) if watched else 0.0)


def keep_off() -> None:
    """Stay off the core of what is measured, with everything that is not put there."""
    os.sched_setaffinity(0, {LOAD_CORE})


def raise_open_files(wanted: int) -> int:
    """Let this process, and all that it starts, open more files; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
