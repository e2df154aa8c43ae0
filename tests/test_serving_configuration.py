"""A serving process reads its configuration with the command line's values, and refuses what cannot be served."""

from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.serving.configuration import reader

CONFIG = """
[upstreams.local]
kind = "llamacpp"

[models.small]
upstream = "local"
model = "qwen2.5-coder-1.5b"
"""


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    """A port given on the command line counts at every reading."""
    config = tmp_path / "preceptor.toml"
    config.write_text("[server]\nport = 8100\n")
    assert reader(config, {"port": 9000})().server.port == 9000


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """The reader keeps nothing: each call reads the file as it is now."""
    config = tmp_path / "preceptor.toml"
    config.write_text("[server]\nport = 8100\n")
    read = reader(config, {})
    config.write_text("[server]\nport = 8200\n")
    assert read().server.port == 8200


def test_several_workers_refuse_embedded_models(tmp_path: Path) -> None:
    """Each worker would load the model, so more than one worker is a mistake of the configuration."""
    config = tmp_path / "preceptor.toml"
    config.write_text(CONFIG)
    with pytest.raises(ConfigurationError, match="each of 2 workers would load its models"):
        reader(config, {"workers": 2})()
