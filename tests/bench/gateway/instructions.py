"""How many instructions does a request take? ``python -m tests.bench.gateway.instructions`` guards it.

Counts under callgrind are the same on every run, where times wander by a half. They are compared with those of the
last release, ``instructions.json``. They hold for one interpreter, one set of packages and one kind of processor only;
and they are not time: they know nothing of caches, system calls and the network.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from gateway.domain import Value
from tests.bench.gateway.machine import PACKAGES
from tests.bench.gateway.process import ROOT

BASELINE = Path(__file__).with_name("instructions.json")


class Counts(Value, frozen=True):
    """Instructions a call of each part, and what they hold for."""

    environment: Mapping[str, str]
    parts: Mapping[str, int]


def environment() -> dict[str, str]:
    packages = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "processor": platform.machine(), **packages}


def count() -> Counts:
    """Run everything under callgrind. Raises what to install where it is missing."""
    if shutil.which("valgrind") is None:
        raise click.ClickException("valgrind is not installed: it is a Debian package")
    with tempfile.TemporaryDirectory(prefix="preceptor-instructions-") as folder:
        out = Path(folder) / "out"
        command = (
            "valgrind", "--tool=callgrind", "--dump-before=getpgid", f"--callgrind-out-file={out}",
            sys.executable, "-m", "tests.bench.gateway.instructed",
        )  # fmt: skip
        fixed = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, cwd=ROOT, env=fixed, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise click.ClickException(f"the counted program failed:\n{done.stderr[-2000:]}")
        times: dict[str, int] = json.loads(done.stdout)
        # Every mark ends a file: in turn what came before a part, and the part.
        files = [Path(f"{out}.{2 * number}") for number in range(1, len(times) + 1)]
        totals = [int(re.findall(r"^summary: (\d+)", file.read_text(), re.MULTILINE)[0]) for file in files]
    counted = {name: total // times[name] for name, total in zip(times, totals, strict=True)}
    return Counts(environment=environment(), parts=counted)


def compared(before: Counts, now: Counts, threshold: float) -> list[str]:
    """What takes more instructions than it may."""
    grown = []
    for name, instructions in now.parts.items():
        known = before.parts.get(name)
        change = "" if known is None else f"{instructions / known - 1:+.1%}"
        click.echo(f"| {name} | {'-' if known is None else format(known, ',')} | {instructions:,} | {change} |")
        if known is not None and instructions > known * (1 + threshold):
            grown.append(f"{name} {change}")
    return grown


@click.command()
@click.option("--write", is_flag=True, help="Make these counts the ones to compare with: at a release.")
@click.option("--threshold", default=0.02, show_default=True, help="Growth (share) that is still no change.")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), default=BASELINE, help="The counts before.")
def main(write: bool, threshold: float, file: Path) -> None:
    """Count, compare with the last release, and fail if a part takes more. Takes about a minute."""
    before = msgspec.json.decode(file.read_bytes(), type=Counts) if file.exists() else None
    now = count()
    click.echo("| | before | now | |\n|---|---|---|---|")
    grown = compared(before or Counts(environment={}, parts={}), now, threshold)
    if write:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(now)) + b"\n")
        return
    if before is None:
        raise click.ClickException(f"{file} is not there: make it with --write")
    other = [f"{name} {was}, now {now.environment.get(name)}"
             for name, was in before.environment.items() if now.environment.get(name) != was]  # fmt: skip
    if other:
        raise click.ClickException(f"not comparable, counted under {'; '.join(other)}: count the release anew here")
    if grown:
        raise click.ClickException(f"more instructions than before: {'; '.join(grown)}")


if __name__ == "__main__":
    main()
