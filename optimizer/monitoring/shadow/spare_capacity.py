"""Spare capacity of an upstream for background calls. Callers come first; other gateways' calls are unknown here."""

from typing import Protocol, runtime_checkable

from gateway.context import Configuration
from gateway.domain import Value


@runtime_checkable
class Counting(Protocol):
    """An upstream with a count of the calls under way."""

    @property
    def in_flight(self) -> int: ...


class SpareCapacity(Value, frozen=True):
    """A model's upstream, as the background sees it at one moment."""

    concurrency: int
    """Background calls allowed at once: half of the upstream's own limit, at least one."""
    free: bool
    """True while fewer calls are under way, callers' included."""
    resting: str | None = None
    """The reason for which it cannot be called at all, if there is one."""


def spare_capacity_of(configuration: Configuration, model: str) -> SpareCapacity:
    """Return the spare capacity for calls of a configured model.

    A local model works on few requests at once (``parallel``): a background call begins only while nothing else is
    under way.
    """
    section = configuration.settings.models.get(model)
    if section is None:
        return SpareCapacity(concurrency=1, free=False, resting=f"there is no model {model!r} any more")
    settings, upstream = configuration.settings.upstreams[section.upstream], configuration.upstreams[section.upstream]
    concurrency = max(1, settings.capacity // 2)
    free = not isinstance(upstream, Counting) or upstream.in_flight < concurrency
    return SpareCapacity(concurrency=concurrency, free=free, resting=upstream.ready())
