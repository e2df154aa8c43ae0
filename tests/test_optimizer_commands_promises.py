"""``preceptor promises``."""

import json
from pathlib import Path

import pytest

from gateway.cli import run
from gateway.store.sql import SqlStore
from optimizer.monitoring.rollout.promises import PROMISES, FieldMeasurement, Promise, ledger_entry
from tests.test_optimizer_commands_show import config

__all__ = ["config"]


def test_a_promise_is_shown_with_its_measurement(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence for people; for scripts in numbers, with the verdict."""
    promise = Promise(version=3, made_at=1.0, against=None, change=0.12, interval=(0.04, 0.19), items=80)
    measured = FieldMeasurement(
        change=-0.02, interval=(-0.06, 0.02), units=400, of="labelled replies", since=1.0, until=9.0
    )
    store = SqlStore.open(tmp_path)
    PROMISES.write(store, (ledger_entry(promise, measured),), "sums")
    store.close()
    assert run(["promises", "sums", "-c", config]) == 0
    assert "version 3 promised +12.0 points" in capsys.readouterr().out
    assert run(["promises", "sums", "-c", config, "--json"]) == 0
    (version,) = json.loads(capsys.readouterr().out)["versions"]
    assert (version["promise"]["version"], version["verdict"], version["covered"]) == (3, "broken", False)


def test_without_a_promise_one_line_says_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown task is an error."""
    assert run(["promises", "sums", "-c", config]) == 0
    assert "no version of 'sums'" in capsys.readouterr().out
    assert run(["promises", "nosuch", "-c", config]) == 1
