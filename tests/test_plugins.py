"""Plugins: found by their entry point, entered after the gateway is open and left before it closes."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import click
import httpx
from litestar.types import ASGIApp

from gateway import plugins
from gateway.services import Services
from gateway.settings import Settings
from tests.fakes import FakeUpstream, asked, gateway, services, settings


class Watching:
    """A plugin that writes down when it ran, and whether the upstream was open."""

    def __init__(self, upstream: "Noting") -> None:
        self._upstream = upstream

    def commands(self) -> Sequence[click.Command]:
        return ()

    def mistakes(self, settings: Settings) -> Sequence[str]:
        return ()

    def mounts(self, services: Services) -> Mapping[str, ASGIApp]:
        return {}

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        self._upstream.notes.append("plugin entered")
        yield
        self._upstream.notes.append("plugin left")


class Noting(FakeUpstream):
    """An upstream that writes down when it is opened and closed."""

    def __init__(self) -> None:
        super().__init__(lambda body: "4")
        self.notes: list[str] = []

    async def open(self) -> None:
        self.notes.append("upstream opened")

    async def aclose(self) -> None:
        self.notes.append("upstream closed")


async def test_a_plugin_lives_inside_the_gateway() -> None:
    """It can use every upstream from its first to its last line."""
    upstream = Noting()
    async with (
        gateway(services(settings(), {"mock": upstream}), [Watching(upstream)]) as url,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        assert upstream.notes == ["upstream opened", "plugin entered"]
        assert (await client.post(url + "/v1/chat/completions", json=asked())).status_code == 200
    assert upstream.notes == ["upstream opened", "plugin entered", "plugin left", "upstream closed"]


def test_installed_plugins_are_what_the_entry_points_name() -> None:
    """Each brings commands, a view of the configuration, and a part of the running gateway."""
    for plugin in plugins.installed():
        assert all(isinstance(command, click.Command) for command in plugin.commands())
        assert plugin.mistakes(settings()) == []
        assert callable(plugin.lifespan)
