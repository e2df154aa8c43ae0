"""Child processes: none runs a module out of the folder in which the gateway was started, none inherits a secret."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.serving.supervisor import WORKER
from gateway.settings import child_environment
from gateway.store.recorder.parent import CHILD as RECORDER
from gateway.upstream.llamacpp import CHILD as MODEL
from optimizer.scheduling.process.parent import CHILD as LEARNER

PLANTED = "import pathlib; pathlib.Path({marker!r}).touch()"


@pytest.mark.parametrize("command", [WORKER, MODEL, LEARNER, RECORDER], ids=["worker", "model", "learner", "recorder"])
def test_a_module_in_the_working_directory_is_not_run(tmp_path: Path, command: Sequence[str]) -> None:
    """A user's own ``optimizer.py`` is theirs; a folder ``gateway`` breaks nothing."""
    marker = tmp_path / "ran"
    for name in ("gateway", "optimizer", "msgspec", "json"):
        (tmp_path / f"{name}.py").write_text(PLANTED.format(marker=str(marker)))
    subprocess.run(  # noqa: S603 - our own command
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert not marker.exists()


def test_the_planted_module_would_run_otherwise(tmp_path: Path) -> None:
    """So the test above can fail."""
    marker = tmp_path / "ran"
    (tmp_path / "optimizer.py").write_text(PLANTED.format(marker=str(marker)))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = (sys.executable, "-m", "optimizer")
    subprocess.run(  # noqa: S603 - our own command
        command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
    )
    assert marker.exists()


def test_the_learner_s_environment_has_no_secret() -> None:
    """The environment of a process can be read by others of the same user."""
    given = {
        "OPENAI_API_KEY": "s",
        "LLAMA_CLOUD_API_KEY": "s",
        "HF_TOKEN": "s",
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert child_environment(given) == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}
