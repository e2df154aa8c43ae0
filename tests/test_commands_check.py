"""``preceptor check``."""

import json
from pathlib import Path

import pytest

from gateway.cli import run
from gateway.settings.first_file import first_file

GOOD = '[server]\ndata_dir = "{folder}"\n[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'


def test_check_says_how_to_get_a_missing_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the first request, but before."""
    monkeypatch.setenv("PRECEPTOR_MODELS", str(tmp_path / "models"))
    file = tmp_path / "preceptor.toml"
    file.write_text(first_file())
    assert run(["check", "-c", str(file)]) == 1
    assert "preceptor models pull" in capsys.readouterr().err


def test_check_counts_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A valid file is called fine."""
    file = tmp_path / "preceptor.toml"
    file.write_text(GOOD.format(folder=tmp_path) + '[models.m]\nupstream = "u"\nmodel = "x"\n')
    assert run(["check", "-c", str(file)]) == 0
    assert "1 upstreams" in capsys.readouterr().out


EMBEDDED = """
[server]
workers = 2
[upstreams.local]
kind = "llamacpp"
"""


def test_an_embedded_model_has_one_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would load it: ``check`` says so, and so does a start, also when only the command line asks for more."""
    file = tmp_path / "preceptor.toml"
    monkeypatch.chdir(tmp_path)
    file.write_text(EMBEDDED)
    assert run(["check", "-c", str(file)]) == 1
    assert "upstreams.local: each of 2 workers would load its models" in capsys.readouterr().err
    assert run(["serve", "-c", str(file), "--workers", "1", "--host", "203.0.113.1"]) == 1
    assert "cannot listen" in capsys.readouterr().err
    file.write_text(EMBEDDED.replace("workers = 2", ""))
    assert run(["check", "-c", str(file)]) == 0
    assert run(["serve", "-c", str(file), "--workers", "3"]) == 1
    assert "each of 3 workers" in capsys.readouterr().err


def test_cautions_do_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that teaches itself is allowed, and regretted."""
    file = tmp_path / "preceptor.toml"
    task = '[models.m]\nupstream = "u"\nmodel = "x"\n[tasks.t]\nweak = "m"\nstrong = "m"\nmatch = { model = "x" }\n'
    file.write_text(GOOD.format(folder=tmp_path) + task)
    assert run(["check", "-c", str(file)]) == 0
    captured = capsys.readouterr()
    assert "no mistakes; 1 upstreams" in captured.out and "caution: tasks.t: its model teaches itself" in captured.err
    assert run(["check", "-c", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"] and len(shown["cautions"]) == 1 and shown["trials"][0]["ok"]


def test_a_failed_trial_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens at the model's address: the other trials are made all the same."""
    file = tmp_path / "preceptor.toml"
    file.write_text(GOOD.format(folder=tmp_path) + 'retries = 0\n[models.m]\nupstream = "u"\nmodel = "x"\n')
    assert run(["check", "--connect", "-c", str(file)]) == 1
    captured = capsys.readouterr()
    assert "ok    data folder" in captured.out and "FAIL  models.m: " in captured.err and "fine" not in captured.out
    assert run(["check", "--connect", "--json", "-c", str(file)]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
