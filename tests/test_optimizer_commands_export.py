"""``preceptor export``."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import run
from gateway.domain import Feedback, Rule, RuleSet
from gateway.settings import NumericGrader
from gateway.store.sql import SqlStore
from optimizer.dataset.data_file import load_examples
from tests.test_optimizer_commands_show import config
from tests.unclaimed import chat, exchange

__all__ = ["config"]


@pytest.fixture
def filled(config: str, tmp_path: Path) -> str:
    """A right and a wrong reply of a task, one of no task, and a rule set."""
    Path(config).write_text(Path(config).read_text() + 'grader = { kind = "numeric" }\n')
    store = SqlStore.open(tmp_path)
    store.record([
        *(exchange(number, chat("Add.", f"What is {number} + 1?"), task="sums", arm="weak", model="m", reply="2",
                   audit_rate=0.5) for number in (1, 2)),
        exchange(3, chat("Help.")),
    ])  # fmt: skip
    store.add_feedback(Feedback(exchange_id="chatcmpl-1", created=1.0, correct=True))
    store.add_feedback(Feedback(exchange_id="chatcmpl-2", created=1.0, correct=False, expected=3))
    store.publish(RuleSet(task="sums", rules=(Rule(text="Count."),)))
    store.close()
    return config


def exported(config: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    out = folder / "out.jsonl"
    assert run(["export", *arguments, "--out", str(out), "-c", config]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_exchanges_are_exported_whole(filled: str, tmp_path: Path) -> None:
    """Of one task, or of all; the request as JSON."""
    lines = exported(filled, tmp_path, "exchanges", "--task", "sums")
    assert [line["id"] for line in lines] == ["chatcmpl-1", "chatcmpl-2"]
    assert lines[0]["request"]["messages"][-1]["content"] == "What is 1 + 1?" and lines[0]["reply"] == "2"
    assert len(exported(filled, tmp_path, "exchanges")) == 3


def test_examples_are_a_data_file(filled: str, tmp_path: Path) -> None:
    """They read back as the items that the log teaches with."""
    lines = exported(filled, tmp_path, "examples", "--task", "sums")
    assert sorted(str(line["expected"]) for line in lines) == ["2", "3"]
    assert {line["audit_rate"] for line in lines} == {0.5}
    assert len(load_examples(tmp_path / "out.jsonl", NumericGrader()).items) == 2


def test_triples_hold_the_wrong_and_the_right(filled: str, tmp_path: Path) -> None:
    """For the mistakes whose right answer is known."""
    (line,) = exported(filled, tmp_path, "triples", "--task", "sums")
    assert (line["wrong"], line["right"], line["question"][-1]["content"]) == ("2", 3, "What is 2 + 1?")


def test_rules_are_exported_with_every_version(filled: str, tmp_path: Path) -> None:
    """As the export of one version has them."""
    (line,) = exported(filled, tmp_path, "rules", "--task", "sums")
    assert line["version"] == 1 and line["rules"][0]["text"] == "Count." and "hash" in line


def test_a_kind_of_one_task_needs_its_name(filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And an output that can be written."""
    assert run(["export", "rules", "-c", filled]) == 2
    assert run(["export", "rules", "--task", "nosuch", "-c", filled]) == 1
    assert run(["export", "exchanges", "--out", str(tmp_path / "no" / "file"), "-c", filled]) == 1
    assert "cannot write" in capsys.readouterr().err
