"""``preceptor tasks show``."""

import json
from pathlib import Path

import pytest

from gateway.cli import run
from gateway.domain import Activation, Evidence, Measured, Rule, RuleSet
from gateway.store.sql import SqlStore
from optimizer.distillation.outcome import Outcome

OUTCOME = Outcome(
    task="sums", note="version 1 published, live; look 2 of 4, 21 items: z = 3.74, at least 2.47 was needed",
    verdict="better", adopted=True, version=1, fixed=14, broken=0, items_used=21, p_value=6e-05, interval=(0.4, 0.8),
    before=Measured(accuracy=1 / 3, n=21), after=Measured(accuracy=1.0, n=21), level=0.05,
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "preceptor.toml"
    file.write_text(
        f'[server]\ndata_dir = "{tmp_path}"\n[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[models.m]\nupstream = "u"\nmodel = "x"\n[tasks.sums]\nweak = "m"\nstrong = "m"\n'
    )
    return str(file)


def ended(folder: Path, outcome: bytes) -> None:
    store = SqlStore.open(folder)
    store.end_cycle(store.begin_cycle("sums", 1.0, b"{}").id, 2.0, outcome)
    store.close()


def test_plain_words_come_first_and_statistics_on_request(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A product manager reads the first line; ``--verbose`` shows its grounds."""
    ended(tmp_path, OUTCOME.encoded())
    assert run(["tasks", "show", "-c", config, "sums"]) == 0
    shown = capsys.readouterr().out
    assert "right answers 33% -> 100% on 21 unseen examples (14 fixed, 0 broken); version 1 published, live" in shown
    assert "z = 3.74" not in shown and "p = " not in shown
    assert run(["tasks", "show", "-c", config, "sums", "--verbose"]) == 0
    shown = capsys.readouterr().out
    assert "z = 3.74" in shown and "p = 6e-05" in shown and "adopts at most 5%" in shown


def test_the_active_rules_show_their_evidence(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or the lack of any: rules from a person may never have been tested."""
    store = SqlStore.open(tmp_path)
    evidence = Evidence(
        verdict="better", before=Measured(accuracy=0.2, n=20), after=Measured(accuracy=0.6, n=20), fixed=8, broken=0,
        items_used=20, p_value=0.004, interval=(0.1, 0.6),
    )  # fmt: skip
    rules = (Rule(text="Work in steps."),)
    for proof in (None, evidence):
        version = store.publish(RuleSet(task="sums", rules=rules, evidence=proof)).version
        store.activate(Activation(task="sums", version=version, created=1.0, by="test"))
        assert run(["tasks", "show", "-c", config, "sums"]) == 0
    first, second = capsys.readouterr().out.split("sums: ")[1:]
    assert "active rules: version 1, never tested by the gate" in first
    assert "active rules: version 2: right answers 20% -> 60% on 20 unseen examples" in second


def test_the_last_cycles_say_what_came_of_them(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also a cycle that published nothing says why."""
    store = SqlStore.open(tmp_path)
    record = store.begin_cycle("sums", 1.0, b"{}")
    store.end_cycle(record.id, 2.0, b'{"verdict":"cannot tell","note":"too few mistakes"}')
    store.begin_cycle("sums", 3.0, b"{}")
    store.close()
    assert run(["tasks", "show", "-c", config, "sums"]) == 0
    shown = capsys.readouterr().out
    assert "cannot tell: too few mistakes" in shown
    assert "not ended" in shown
    assert run(["tasks", "show", "--json", "-c", config, "sums"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cycles"]) == 2


def test_where_a_roll_out_stands_is_told_in_a_few_lines(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the watch noted it last; with ``--json`` all of it."""
    store = SqlStore.open(tmp_path)
    store.put_note("live/sums", b'{"looked":1.0,"lines":["serves weak","harm: it broke"],"wrong":["harm: it broke"]}')
    store.close()
    assert run(["tasks", "show", "-c", config, "sums"]) == 0
    assert "  serves weak\n  harm: it broke\n" in capsys.readouterr().out
    assert run(["tasks", "show", "--json", "-c", config, "sums"]) == 0
    assert json.loads(capsys.readouterr().out)["live"]["wrong"] == ["harm: it broke"]


def test_an_unknown_task_is_one_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the tasks that there are."""
    assert run(["tasks", "show", "-c", config, "nosuch"]) == 1
    assert "sums" in capsys.readouterr().err
