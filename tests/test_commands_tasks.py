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
    """Nobody asked for it."""
    store = SqlStore.open(tmp_path)
    asked = msgspec.structs.replace(exchange(0, chat("2 + 2")), task="sums")
    store.record([asked, msgspec.structs.replace(asked, id="shadow", arm="shadow")])
    store.close()
    assert run(["tasks", "list", "-c", config]) == 0
    assert "1 exchanges" in capsys.readouterr().out


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
