"""Secrets out of files: read with the configuration, and named without their content when they cannot be."""

from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import OpenAISettings, Settings, parse
from gateway.settings.keys import digest

TEXT = """
[server]
admin_key = "file:{folder}/admin"
[upstreams.mock]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "file:{folder}/provider"
headers = {{ x-team = "file:{folder}/team" }}
[keys.team]
key = "file:{folder}/team"
"""
SECRETS = {"admin": b"admin-secret-0123456789\n", "provider": b"sk-provider\r\n", "team": b"team-secret-0123456789"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in SECRETS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def settings(folder: Path) -> Settings:
    return parse(TEXT.format(folder=folder), source="test", environment={})


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(folder)
    return sorted(caught.value.mistakes)


def test_a_secret_is_read_without_its_line_break(folder: Path) -> None:
    """Keys of upstreams, headers, keys of clients and of the admin API."""
    made = settings(folder)
    upstream = made.upstreams["mock"]
    assert isinstance(upstream, OpenAISettings)
    assert (upstream.api_key, upstream.headers["x-team"]) == ("sk-provider", "team-secret-0123456789")
    assert made.server.admin_key == "admin-secret-0123456789"
    assert made.keys["team"].hash == digest("team-secret-0123456789")


def test_a_new_secret_is_in_effect_when_the_configuration_is_read_again(folder: Path) -> None:
    """The file of the configuration stays as it is."""
    before = settings(folder)
    (folder / "provider").write_text("sk-rotated\n")
    assert settings(folder).upstreams["mock"] != before.upstreams["mock"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_without_a_secret_is_named(folder: Path, content: bytes | None) -> None:
    """Under the key of the setting; nothing of the content is shown."""
    if content is None:
        (folder / "provider").unlink()
    else:
        (folder / "provider").write_bytes(content)
    (line,) = mistakes(folder)
    assert line.startswith(f"upstreams.mock.api_key: the file {folder}/provider ") and "xxx" not in line


def test_a_folder_is_no_file(folder: Path) -> None:
    """Not a traceback."""
    (folder / "provider").unlink()
    (folder / "provider").mkdir()
    assert len(mistakes(folder)) == 1


def test_a_key_out_of_a_file_has_its_shortest_length_too(folder: Path) -> None:
    """Guessing must stay hopeless."""
    (folder / "team").write_text("short")
    assert [line.partition(":")[0] for line in mistakes(folder)] == ["keys.team.key"]


def test_elsewhere_it_is_text(folder: Path) -> None:
    """No setting without a secret opens a file."""
    text = TEXT.format(folder=folder) + '[models.m]\nupstream = "mock"\nmodel = "file:/etc/hostname"\n'
    assert parse(text, source="test", environment={}).models["m"].model == "file:/etc/hostname"
