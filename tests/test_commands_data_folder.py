"""The data folder before it is used."""

import os
from pathlib import Path

import pytest

from gateway.commands.data_folder import try_folder


def test_a_folder_that_is_there_can_be_written(tmp_path: Path) -> None:
    """Nothing is left in it."""
    result = try_folder(tmp_path)
    assert result.ok and result.detail.startswith("can be written, ") and not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_can_be_made(tmp_path: Path) -> None:
    """It is not made: the service may run as another user."""
    result = try_folder(tmp_path / "a" / "b")
    assert result.ok and result.detail.startswith("can be made, ") and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_fails(tmp_path: Path) -> None:
    """The reason names it."""
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written" in try_folder(tmp_path / "data").detail
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_way_fails(tmp_path: Path) -> None:
    """A folder cannot be made below a file."""
    (tmp_path / "file").write_text("")
    assert not try_folder(tmp_path / "file" / "data").ok
