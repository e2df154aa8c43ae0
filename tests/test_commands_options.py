"""What commands share."""

from pathlib import Path

import pytest

from gateway.commands.options import known_task, print_json, settings_of, store_of
from gateway.errors import ConfigurationError, NotFound
from tests.fakes import settings


def test_an_unknown_task_is_answered_with_the_known_ones() -> None:
    """The user sees the name that was meant."""
    with pytest.raises(NotFound, match="arithmetic"):
        known_task(settings(), "arithmetik")


def test_the_configuration_is_read_from_the_given_file(tmp_path: Path) -> None:
    """A file that is not there is an error that names it."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        settings_of(tmp_path / "nowhere.toml")


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts read the last line."""
    print_json({"a": [1, 2]})
    assert capsys.readouterr().out == '{"a":[1,2]}\n'


def test_the_store_is_made_where_the_configuration_says(tmp_path: Path) -> None:
    """Commands work before any gateway ran."""
    configured = settings(f'[server]\ndata_dir = "{tmp_path / "new"}"\n')
    with store_of(configured) as store:
        assert store.active() == {}
    assert (tmp_path / "new" / "preceptor.db").exists()
