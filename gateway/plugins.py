"""Plugins of the gateway, by the entry point group ``gateway.plugins``: the gateway never imports the optimizer."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Protocol

import click
from litestar.types import ASGIApp

from gateway.services import Services
from gateway.settings import Settings

GROUP = "gateway.plugins"


class Plugin(Protocol):
    """The object behind an entry point: commands for the command line, and a part of the running gateway."""

    def commands(self) -> Sequence[click.Command]:
        """Return commands for ``preceptor``; a group joins the gateway's group of the same name."""

    def mistakes(self, settings: Settings) -> Sequence[str]:
        """Return the plugin's complaints about an otherwise valid configuration, each with its key."""

    def mounts(self, services: Services) -> Mapping[str, ASGIApp]:
        """Return applications by the path under which each answers, such as ``/ui``."""

    def lifespan(self, services: Services) -> AbstractAsyncContextManager[None]:
        """Return a context: entered when the gateway is open, left before it closes."""


def installed() -> list[Plugin]:
    """Return every installed plugin, by name."""
    return [point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
