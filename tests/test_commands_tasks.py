"""``preceptor tasks``."""

import json
from pathlib import Path

import msgspec
import pytest

from gateway.cli import run
from gateway.store.sql import SqlStore
from tests.unclaimed import chat, exchange


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "preceptor.toml"
    file.write_text(
        f'[server]\ndata_dir = "{tmp_path}"\n[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[models.m]\nupstream = "u"\nmodel = "x"\n[tasks.sums]\nweak = "m"\nstrong = "m"\n'
    )
    return str(file)


def test_a_task_without_traffic_is_listed_with_zeros(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Configured is enough to be seen."""
    assert run(["tasks", "list", "--json", "-c", config]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["task"], row["exchanges"], row["rules"]) == ("sums", 0, None)


def test_a_shadow_is_no_traffic(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in the list nor where one task is shown: nobody asked for it."""
    store = SqlStore.open(tmp_path)
    asked = msgspec.structs.replace(exchange(0, chat("2 + 2")), task="sums")
    store.record([asked, msgspec.structs.replace(asked, id="shadow", arm="shadow")])
    store.close()
    assert run(["tasks", "list", "-c", config]) == 0
    assert run(["tasks", "show", "-c", config, "sums"]) == 0
    assert capsys.readouterr().out.count("1 exchanges") == 2


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


def test_traffic_without_a_task_is_worth_a_line(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From twenty requests on; one in passing is not."""
    store = SqlStore.open(tmp_path)
    store.record([exchange(0, chat("Help."))])
    assert run(["tasks", "list", "-c", config]) == 0
    assert "discover" not in capsys.readouterr().out
    store.record([exchange(number, chat("Help.")) for number in range(24)])
    store.close()
    assert run(["tasks", "list", "-c", config]) == 0
    assert "24 requests belong to no task: see 'preceptor tasks discover'" in capsys.readouterr().out
