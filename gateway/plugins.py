"""How the optimizer finds the gateway without being imported by it: the entry point group ``gateway.plugins``."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Protocol

import click

from gateway.services import Services
from gateway.settings import Settings

GROUP = "gateway.plugins"


class Plugin(Protocol):
    """What an entry point of the group names: commands for the command line, and a part of the running gateway."""

    def commands(self) -> Sequence[click.Command]:
        """Commands that are added to ``preceptor``; those of a group join the gateway's group of that name."""

    def mistakes(self, settings: Settings) -> Sequence[str]:
        """What the plugin cannot work with in a configuration that is valid otherwise, each with its key."""

    def lifespan(self, services: Services) -> AbstractAsyncContextManager[None]:
        """Entered once the gateway is open, left before it closes."""


def installed() -> list[Plugin]:
    """Every plugin that is installed, by name."""
    return [point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
