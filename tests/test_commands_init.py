"""``preceptor init``."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.cli import run
from gateway.commands.init import look_around
from gateway.settings import parse
from gateway.settings.cautions import cautions
from gateway.settings.first_file import PROVIDERS, Surroundings
from optimizer.demo.loopback import loopback_server
from tests.fakes import read_request


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor an Ollama of the machine."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    for variable in PROVIDERS:
        monkeypatch.delenv(variable, raising=False)


def test_init_writes_a_configuration_that_is_valid(tmp_path: Path) -> None:
    """A newcomer starts without a mistake, and without a setting to regret."""
    file = tmp_path / "preceptor.toml"
    assert run(["init", "-c", str(file)]) == 0
    settings = parse(file.read_text(), source="init", environment={})
    assert settings.models and not cautions(settings)


def test_a_key_in_the_environment_makes_a_teacher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key itself is not written."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    file = tmp_path / "preceptor.toml"
    assert run(["init", "-c", str(file)]) == 0
    assert "OPENAI_API_KEY is set" in capsys.readouterr().out
    assert "sk-very-secret" not in file.read_text()
    settings = parse(file.read_text(), source="init", environment={"OPENAI_API_KEY": "sk-very-secret"})
    (task,) = settings.tasks.values()
    assert settings.models[task.strong].upstream == "provider" and not cautions(settings)


async def test_a_running_ollama_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chat models, the smallest first."""
    tags = {"models": [{"name": "q:7b", "size": 7}, {"name": "q:1b", "size": 1}, {"name": "embed:1b", "size": 0}]}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        body = json.dumps(tags).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with loopback_server(answer) as address:
        monkeypatch.setenv("OLLAMA_HOST", address.removesuffix("/v1"))
        around = await asyncio.to_thread(look_around)
    assert around == Surroundings(ollama=("q:1b", "q:7b"), ollama_address=address.removesuffix("/v1"))


async def test_anything_else_at_ollamas_address_is_no_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage does not stop a newcomer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"garbage\r\n\r\n")

    async with loopback_server(answer) as address:
        monkeypatch.setenv("OLLAMA_HOST", address.removesuffix("/v1"))
        assert (await asyncio.to_thread(look_around)).ollama == ()


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init leaves the first one's file alone."""
    file = tmp_path / "preceptor.toml"
    file.write_text("mine")
    assert run(["init", "-c", str(file)]) == 1
    assert file.read_text() == "mine"
    assert len(capsys.readouterr().err.splitlines()) == 1


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
    shown = capsys.readouterr()
    assert "set GROQ_API_KEY, LITELLM_MASTER_KEY, then run 'preceptor check --connect'" in shown.out
    assert [line.partition(": not carried over: ")[2] for line in shown.err.splitlines()] == [
        "general_settings.master_key: it is too short here; clients show the new key of $LITELLM_MASTER_KEY",
    ]
    assert not {"gsk-literal", "sk-1234"} & set(file.read_text().split('"'))
    assert run(["check", "-c", str(file)]) == 1
    assert "environment variable not set: GROQ_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("GROQ_API_KEY", "gsk-literal")
    monkeypatch.setenv("LITELLM_MASTER_KEY", "a-key-of-our-choice")
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
