"""Our own gateway as a process: once in front of the embedded model for everybody, once with what was distilled."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).parents[4]
START_S: Final = 180.0
STOP_S: Final = 30.0

COPIES: Final = ("one", "two")
"""One copy of the model a core, each with one thread: two threads of one copy wait for each other at every step, and
where others worked on the machine that took a copy from 14 tokens a second to one."""
STRONG: Final = "strong"
"""An embedded model that only teaches."""

_COPY = """\

[upstreams.{name}]
kind = "llamacpp"
threads = 1
parallel = 1
context = 8192
total_timeout_s = 1800
first_byte_timeout_s = 1800
queue_timeout_s = 1800

[models.{name}]
upstream = "{name}"
model = "{model}"
"""


def configuration(data_dir: Path, model: str, strong: str | None = None) -> str:
    """A gateway that passes requests for each of ``COPIES`` on to a copy of the model, and ``strong`` to another."""
    copies = "".join(_COPY.format(name=name, model=model) for name in COPIES)
    if strong is not None:
        copies += _COPY.format(name=STRONG, model=strong)
    return f'[server]\ndata_dir = "{data_dir}"\n{copies}\n[optimizer]\nenabled = false\n'


@contextlib.contextmanager
def gateway(config: Path) -> Iterator[str]:
    """``preceptor serve`` with a configuration; yields its address up to and including ``/v1``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = config.with_suffix(".log")
    command = (sys.executable, "-m", "gateway", "serve", "-c", str(config), "--port", str(port))
    with log.open("ab") as file:
        running = subprocess.Popen(  # noqa: S603  # it stands above
            command, cwd=ROOT, stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
    try:
        _wait(f"http://127.0.0.1:{port}/readyz", running, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        running.terminate()
        try:
            running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def run(command: tuple[str, ...], log: Path, environment: Mapping[str, str] | None = None) -> bytes:
    """Run a command to its end; its errors go to the log. Raises ``click.ClickException`` if it fails."""
    with log.open("ab") as file:
        ended = subprocess.run(  # noqa: S603  # the commands stand in this benchmark
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, stdin=subprocess.DEVNULL, check=False,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    if ended.returncode:
        raise click.ClickException(f"{command[0]} failed; the end of {log}:\n{log.read_text(errors='replace')[-2000:]}")
    return ended.stdout


def _wait(url: str, running: "subprocess.Popen[bytes]", log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_S and running.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):  # noqa: S310  # loopback
            return
        time.sleep(0.25)
    raise click.ClickException(f"{url} does not answer; the end of its log:\n{log.read_text(errors='replace')[-2000:]}")
