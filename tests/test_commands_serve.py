"""``serve``, ``check`` and ``init`` (that ``serve`` serves is told in test_server)."""

from pathlib import Path

import pytest

from gateway.cli import run
from gateway.settings import parse


def test_init_writes_a_configuration_that_is_valid(tmp_path: Path) -> None:
    """What a newcomer starts from has no mistake in it."""
    file = tmp_path / "preceptor.toml"
    assert run(["init", "-c", str(file)]) == 0
    assert parse(file.read_text(), source="init", environment={}).tasks


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init leaves the first one's file alone."""
    file = tmp_path / "preceptor.toml"
    file.write_text("mine")
    assert run(["init", "-c", str(file)]) == 1
    assert file.read_text() == "mine"
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_check_says_how_to_get_a_missing_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the first request, but before."""
    monkeypatch.setenv("PRECEPTOR_MODELS", str(tmp_path / "models"))
    file = tmp_path / "preceptor.toml"
    run(["init", "-c", str(file)])
    assert run(["check", "-c", str(file)]) == 1
    assert "preceptor models pull" in capsys.readouterr().err


def test_check_counts_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A valid file is called fine."""
    file = tmp_path / "preceptor.toml"
    file.write_text('[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n')
    assert run(["check", "-c", str(file)]) == 0
    assert "1 upstreams" in capsys.readouterr().out


def test_a_port_that_is_no_port_is_wrong_usage() -> None:
    """Before anything is opened."""
    assert run(["serve", "--port", "123456"]) == 2
