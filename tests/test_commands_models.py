"""``preceptor models``."""

from pathlib import Path

import pytest

from gateway.cli import run
from gateway.upstream import model_files as modelfiles


def test_the_list_marks_what_is_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A star for a model whose file is in the folder."""
    monkeypatch.setenv("PRECEPTOR_MODELS", str(tmp_path))
    model = modelfiles.CATALOG["smollm2-135m"]
    with (tmp_path / model.file).open("wb") as file:
        file.truncate(model.size)
    assert run(["models", "list"]) == 0
    marks = {line[2:].split()[0]: line[0] for line in capsys.readouterr().out.splitlines()}
    assert marks["smollm2-135m"] == "*"
    assert marks["qwen2.5-coder-1.5b"] == " "


def test_an_unknown_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It says where the known ones are listed."""
    assert run(["models", "pull", "nonsense"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_that_cannot_be_read_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever value ``PRECEPTOR_MODELS`` is."""
    monkeypatch.setenv("PRECEPTOR_MODELS", "x" * 300)
    for command in (["models", "list"], ["models", "pull", "smollm2-135m"]):
        assert run(command) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
