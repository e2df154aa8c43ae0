"""``serve``, ``check`` and ``init`` (that ``serve`` serves is told in test_serving_server)."""

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


EMBEDDED = """
[server]
workers = 2
[upstreams.local]
kind = "llamacpp"
"""


def test_an_embedded_model_has_one_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each would load it: ``check`` says so, and so does a start, also when only the command line asks for more."""
    file = tmp_path / "preceptor.toml"
    file.write_text(EMBEDDED)
    assert run(["check", "-c", str(file)]) == 1
    assert "upstreams.local: each of 2 workers would load its models" in capsys.readouterr().err
    assert run(["serve", "-c", str(file), "--workers", "1", "--host", "203.0.113.1"]) == 1
    assert "cannot listen" in capsys.readouterr().err
    file.write_text(EMBEDDED.replace("workers = 2", ""))
    assert run(["check", "-c", str(file)]) == 0
    assert run(["serve", "-c", str(file), "--workers", "3"]) == 1
    assert "each of 3 workers" in capsys.readouterr().err


LITELLM = """
model_list:
  - model_name: fast
    litellm_params: {model: groq/llama-3.3-70b, api_key: gsk-literal, rpm: 6}
general_settings: {master_key: sk-1234}
"""


def test_init_from_litellm_writes_a_configuration_that_check_likes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variables set that it names; what was left out is said on stderr, and no secret anywhere."""
    source, file = tmp_path / "config.yaml", tmp_path / "preceptor.toml"
    source.write_text(LITELLM)
    assert run(["init", "-c", str(file), "--from-litellm", str(source)]) == 0
    said = capsys.readouterr()
    assert "set GROQ_API_KEY, then run 'preceptor check'" in said.out
    assert [line.partition(": not carried over: ")[2] for line in said.err.splitlines()] == [
        "model_list[0] (fast): rpm",
        "general_settings.master_key: clients are not asked for a key: let only those reach the gateway who may use it",
    ]
    assert not {"gsk-literal", "sk-1234"} & set(file.read_text().split('"'))
    assert run(["check", "-c", str(file)]) == 1
    assert "environment variable not set: GROQ_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("GROQ_API_KEY", "gsk-literal")
    assert run(["check", "-c", str(file)]) == 0


def test_init_writes_nothing_from_a_file_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each mistake, and a second try needs no clearing up."""
    source, file = tmp_path / "config.yaml", tmp_path / "preceptor.toml"
    source.write_text("model_list: [")
    assert run(["init", "-c", str(file), "--from-litellm", str(source)]) == 1
    assert "not YAML" in capsys.readouterr().err
    source.write_text("model_list: [x, y]")
    assert run(["init", "-c", str(file), "--from-litellm", str(source)]) == 1
    assert "model_list[1]: must be a mapping" in capsys.readouterr().err
    assert not file.exists()


def test_init_from_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    """Before anything is written."""
    assert run(["init", "-c", str(tmp_path / "p.toml"), "--from-litellm", str(tmp_path / "none.yaml")]) == 2
