"""Other projects' optimisers: installed once, each into an environment of its own, at the version that stands here."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from tests.bench.distillation.live.serving import run

VERSIONS: Final[Mapping[str, str]] = {"gepa": "0.1.4", "dspy": "3.4.1"}
BESIDE: Final[Mapping[str, tuple[str, ...]]] = {"dspy": ("optuna==5.0.0",)}
"""What a peer asks for without requiring it: ``MIPROv2`` searches with optuna."""
_QUIET: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # no prices from the network
    "LITELLM_TELEMETRY": "False", "DSPY_TELEMETRY": "0", "DO_NOT_TRACK": "1", "PYTHONPATH": "",
}  # fmt: skip


def install(peer: str, cache: Path) -> Path:
    """The Python that has the peer, brought into the cache unless it is there. Raises ``click.ClickException``."""
    folder = cache / f"{peer}-{VERSIONS[peer]}"
    python = folder / "bin" / "python"
    if (folder / ".installed").exists():
        return python
    click.echo(f"installing {folder.name}, once", err=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for command in (
            (sys.executable, "-m", "venv", str(folder)),
            (str(python), "-m", "pip", "install", "--quiet", f"{peer}=={VERSIONS[peer]}", *BESIDE.get(peer, ())),
        ):
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # they stand above
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"{folder.name} cannot be installed: {error.stderr[-1000:]}") from error
    (folder / ".installed").touch()
    return python


def asked(peer: str, told: Mapping[str, Any], *, cache: Path, log: Path) -> dict[str, Any]:
    """What the peer's own script answers: ``replies`` to the test items, and what it ``found``."""
    given, result = log.with_suffix(".in.json"), log.with_suffix(".out.json")
    given.write_text(json.dumps(told), encoding="utf-8")
    script = Path(__file__).parent / f"{peer}_child.py"
    own = {"DSPY_CACHEDIR": str(log.parent / "dspy-cache")}
    run((str(install(peer, cache)), "-P", str(script), str(given), str(result)), log, {**_QUIET, **own})
    answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return answer
