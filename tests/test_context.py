"""The learner's view of a gateway: what it holds, and that it follows a reload."""

import dataclasses

import pytest

from gateway.context import Configuration, LearnerContext
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeUpstream, services, settings


def test_settings_and_upstreams_are_of_the_configuration_in_effect() -> None:
    """A context needs no gateway around it, and what it holds cannot be replaced."""
    configurations = [
        Configuration(settings=settings(), upstreams={"mock": FakeUpstream(lambda body: "4")}),
        Configuration(settings=settings(CONFIG), upstreams={}),
    ]
    context = LearnerContext(configuration=lambda: configurations[0], store=MemoryStore())
    assert context.settings is configurations[0].settings and set(context.upstreams) == {"mock"}
    del configurations[0]
    assert context.settings is configurations[0].settings and not context.upstreams
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.store = MemoryStore()  # type: ignore[misc]  # which is the point


async def test_a_gateway_s_context_shares_its_parts() -> None:
    """Store, clocks and hooks are the gateway's own; a gauge shows up in its metrics."""
    made = services(settings(), {"mock": FakeUpstream(lambda body: "4")}, wall_clock=lambda: 7.0)
    context = made.learner_context()
    assert context.store is made.store and context.on_reload is made.on_reload
    assert context.background is made.background and context.wall_clock() == 7.0
    context.gauge("preceptor_test", "A test.", lambda: 3)
    assert b"preceptor_test 3.0" in made.telemetry.text()


async def test_a_gateway_s_context_follows_a_reload() -> None:
    """The next look at the context sees the new configuration."""
    made = services(settings(), {"mock": FakeUpstream(lambda body: "4")})
    context = made.learner_context()
    made.serving = dataclasses.replace(made.serving, settings=settings(CONFIG.replace("tiny-1b", "tiny-2b")))
    assert context.settings.models["small"].model == "tiny-2b"
