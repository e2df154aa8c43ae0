"""The configuration of a serving process: the file, the command line's values over it, checked by every plugin."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.errors import ConfigurationError
from gateway.plugins import installed
from gateway.settings import LlamaCppSettings, Settings, config_path, load


def reader(config: Path | None, given: Mapping[str, str | int]) -> Callable[[], Settings]:
    """Return a function to read the configuration again; ``given`` are values for ``server`` from the command line.

    Raises ``ConfigurationError`` when called.
    """

    def read() -> Settings:
        return usable_settings(config, given)

    return read


def usable_settings(config: Path | None, given: Mapping[str, Any] = MappingProxyType({})) -> Settings:
    """Return valid settings, accepted by every plugin too. Raises ``ConfigurationError``."""
    settings = load(config_path(config))
    settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, **given))
    mistakes = _worker_mistakes(settings)
    mistakes += [mistake for plugin in installed() for mistake in plugin.mistakes(settings)]
    if mistakes:
        raise ConfigurationError(str(config_path(config)), mistakes)
    return settings


def _worker_mistakes(settings: Settings) -> list[str]:
    """Return the reasons against several workers."""
    if settings.server.workers == 1:
        return []
    mistakes = [
        f"upstreams.{name}: each of {settings.server.workers} workers would load its models: set server.workers = 1, or"
        " run a model server of your own (kind openai)"
        for name, upstream in settings.upstreams.items()
        if isinstance(upstream, LlamaCppSettings)
    ]
    if sys.platform != "linux":
        mistakes.append("server.workers: more than one needs Linux, which spreads connections over them")
    return mistakes
