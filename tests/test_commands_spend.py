"""``preceptor spend``."""

import json
import time
from pathlib import Path

import pytest

from gateway.cli import run
from gateway.domain import Usage
from gateway.spending.book import SpendBook, store_days
from gateway.store.sql import SqlStore
from tests.fakes import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "preceptor.toml"
    path.write_text(CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{tmp_path}"'), encoding="utf-8")
    book = SpendBook()
    book.add(time.time(), ("team", "arithmetic", "weak", "small"), Usage(prompt_tokens=7), 0.25, 1.0)
    store = SqlStore.open(tmp_path)
    store_days(store, book.take())
    store.close()
    return str(path)


def test_people_see_a_line_per_name_and_the_total(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Requests, tokens, money, savings."""
    assert run(["spend", "-c", config, "--by", "task"]) == 0
    _, line, total = capsys.readouterr().out.splitlines()
    assert line.split() == ["arithmetic", "1", "7", "0.2500", "0.7500"]
    assert total.split() == ["total", "1", "7", "0.2500", "0.7500"]


def test_scripts_get_one_object(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the days that it is about."""
    assert run(["spend", "-c", config, "--json", "--key", "team", "--days", "1"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["from"] == made["until"] and made["total"]["usd"] == 0.25
    assert [line["name"] for line in made["lines"]] == ["team"]
