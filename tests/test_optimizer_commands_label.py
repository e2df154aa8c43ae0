"""``preceptor label``."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import run
from gateway.label_queue import waiting
from gateway.store.sql import SqlStore
from optimizer.monitoring.shadow.telling import TELLING, TellingBook
from tests.test_optimizer_commands_show import config
from tests.unclaimed import chat, exchange

__all__ = ["config"]


@pytest.fixture
def queue(config: str, tmp_path: Path) -> list[str]:
    """Three audited exchanges of a task with numbers as answers; their ids in the order of the queue."""
    Path(config).write_text(Path(config).read_text() + 'grader = { kind = "numeric" }\n')
    store = SqlStore.open(tmp_path)
    store.record([
        exchange(
            number, chat("Add.", f"What is {number} + 1?"), task="sums", arm="weak", created=time.time() - number,
            audit_rate=0.5, reply=str(number + 1),
        )
        for number in range(3)
    ])  # fmt: skip
    order = [entry.exchange.id for entry in waiting(store.audited("sums", since=0.0, limit=9))]
    store.close()
    return order


def labels(folder: Path) -> dict[str, Any]:
    store = SqlStore.open(folder)
    audited = store.audited("sums", since=0.0, limit=9)
    store.close()
    return {entry.exchange.id: entry.feedback for entry in audited if entry.feedback}


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_person_labels_the_queue(
    config: str, queue: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right, wrong with the right answer, and a skipped one, which waits on; every label has its labeller."""
    typed(monkeypatch, "y", "n", "no number", "7", "s")
    assert run(["label", "sums", "--as", "anna", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "What is" in out and "REPLY:" in out and "no expected answer for the grader" in out
    assert "3 requests in the audit sample, 2 labelled (0 unasked, 2 from the queue), 1 waiting" in out
    stored = labels(tmp_path)
    assert set(stored) == set(queue[:2])
    (right,), (wrong,) = stored[queue[0]], stored[queue[1]]
    assert (right.correct, right.expected, right.source, right.labeller) == (True, None, "label", "anna")
    assert (wrong.correct, wrong.expected) == (False, "7")


def test_a_mistaken_key_can_be_taken_back(
    config: str, queue: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest label counts; both are kept."""
    typed(monkeypatch, "y", "b", "n", "", "q")
    assert run(["label", "sums", "-c", config]) == 0
    stored = labels(tmp_path)
    assert [feedback.correct for feedback in stored[queue[0]]] == [True, False]
    assert {feedback.labeller for feedback in stored[queue[0]]} == {"queue"}


def test_the_reply_is_judged_blind(
    config: str, queue: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the model nor the rules are shown."""
    typed(monkeypatch, "q")
    assert run(["label", "sums", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "gpt-4o" not in out and "weak" not in out


def test_scripts_read_the_queue_and_send_answers(
    config: str, queue: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines that cannot be used are named."""
    assert run(["label", "sums", "--json", "-c", config]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in listed["items"]] == queue and listed["waiting"] == 3
    assert listed["items"][0]["turns"][-1]["text"].startswith("What is")
    answers = tmp_path / "answers.jsonl"
    lines = [
        {"id": queue[2], "correct": False, "expected": 3}, {"id": "other", "correct": True}, {"id": queue[1]},
        {"id": queue[1], "score": 2}, {"id": queue[1], "right": True},
    ]  # fmt: skip
    answers.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert run(["label", "sums", "--answers", str(answers), "--as", "script", "--json", "-c", config]) == 0
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 4 and "line 2" in captured.err
    assert json.loads(captured.out)["waiting"] == 2
    assert labels(tmp_path)[queue[2]][0].labeller == "script"


def test_a_task_shows_its_labels(config: str, queue: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is known, who labelled, and what is missing."""
    assert run(["tasks", "show", "sums", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "labels: 3 requests in the audit sample" in out and "preceptor label sums" in out
    assert run(["tasks", "show", "sums", "--json", "-c", config]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["waiting"] == 3


def test_requests_with_two_answers_come_first(
    config: str, queue: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are outside of the audit sample; a deleted one is left out."""
    store = SqlStore.open(tmp_path)
    told = [exchange(number, chat("Add.", f"{number}?"), task="sums", arm="weak", created=time.time(), audit_rate=0.0)
            for number in (7, 8, 9)]  # fmt: skip
    store.record(told)
    TELLING.write(store, TellingBook(waiting=(*(one.id for one in told), "gone")), "sums")
    store.close()
    assert run(["label", "sums", "--json", "-c", config]) == 0
    ids = [item["id"] for item in json.loads(capsys.readouterr().out)["items"]]
    assert ids == [told[0].id, told[1].id, queue[0], told[2].id, *queue[1:]]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"id": told[0].id, "correct": True}))
    assert run(["label", "sums", "--answers", str(answers), "-c", config]) == 0
    out, err = capsys.readouterr()
    line = "and 4 requests that they answer differently come first"
    assert line in out and err == ""
    assert run(["tasks", "show", "sums", "-c", config]) == 0
    assert line in capsys.readouterr().out
