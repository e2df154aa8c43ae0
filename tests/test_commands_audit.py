"""``preceptor audit``: what commands and the gateway did, and whether somebody touched the log."""

import json
from pathlib import Path

import pytest

from gateway.cli import run
from gateway.store.sql import SqlStore
from tests.fakes import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "preceptor.toml"
    file.write_text(CONFIG.replace("[server]", f'[server]\ndata_dir = "{tmp_path / "data"}"'))
    return str(file)


def test_keys_and_decisions_are_in_it_without_a_secret(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Made, rotated and revoked; the kill switch; as text and as JSON lines."""
    for command in (["keys", "new", "team-a", "--store"], ["keys", "rotate", "team-a"], ["keys", "revoke", "team-a"]):
        assert run([*command, "-c", config]) == 0
    assert run(["rules", "injection", "off", "-c", config]) == 0
    secrets = [word for word in capsys.readouterr().err.split() if word.startswith("prec-")]
    assert run(["audit", "--json", "-c", config]) == 0
    out = capsys.readouterr().out
    told = [json.loads(line) for line in out.splitlines()]
    assert [(deed["by"], deed["what"]) for deed in told] == [
        ("command line", "key made"), ("command line", "key rotated"), ("command line", "key revoked"),
        ("command line", "rules injection"),
    ]  # fmt: skip
    assert secrets and not any(secret in out for secret in secrets)
    assert run(["audit", "-c", config]) == 0
    assert "key revoked: team-a" in capsys.readouterr().out


def test_a_log_that_was_touched_fails(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unbroken before, with the number of entries and the last hash."""
    assert run(["keys", "new", "team-a", "--store", "-c", config]) == 0
    assert run(["audit", "--verify", "-c", config]) == 0
    assert "1 entries, unbroken" in capsys.readouterr().out
    store = SqlStore.open(tmp_path / "data")
    store.put_note("trail/000000001", b"{}")
    store.close()
    assert run(["audit", "--verify", "-c", config]) == 1
    assert "audit log" in capsys.readouterr().err
