"""Options of several commands, with the settings and the store behind them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.errors import NotFound
from gateway.settings import Settings, config_path, load
from gateway.store.base import Store
from gateway.store.sql import SqlStore

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """``-c FILE``, handed on as ``config``."""
    return click.option(
        "-c", "--config", type=click.Path(dir_okay=False, path_type=Path), default=None,
        help="Configuration file; default: $PRECEPTOR_CONFIG, else preceptor.toml.",
    )(command)  # fmt: skip


json_option = click.option("--json", "as_json", is_flag=True, help="End with one JSON object instead of text.")


def settings_of(config: Path | None) -> Settings:
    """Return the validated configuration. Raises ``ConfigurationError``."""
    return load(config_path(config))


@contextlib.contextmanager
def store_of(settings: Settings) -> Iterator[Store]:
    """Open the configured store and close it afterwards. Works beside a running gateway too."""
    store = SqlStore.open(settings.server.data_dir, settings.server.store)
    try:
        yield store
    finally:
        store.close()


def known_task(settings: Settings, task: str) -> str:
    """Return the task's name. Raises ``NotFound`` for a task without configuration."""
    if task not in settings.tasks:
        names = ", ".join(settings.tasks) or "none"
        raise NotFound(f"there is no task {task!r} in the configuration; there are: {names}")
    return task


def print_json(value: object) -> None:
    """Print an object on one line of stdout."""
    click.echo(msgspec.json.encode(value))
