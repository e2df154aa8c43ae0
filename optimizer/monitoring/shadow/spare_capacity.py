"""What an upstream has left for calls that nobody waits for. Callers come first; other gateways' are not seen."""

from typing import Protocol, runtime_checkable

from gateway.domain import Value
from gateway.services import Serving


@runtime_checkable
class Counting(Protocol):
    """An upstream that knows how many calls to it are under way."""

    @property
    def in_flight(self) -> int: ...


class SpareCapacity(Value, frozen=True):
    """A model's upstream, as the background sees it at one moment."""

    concurrency: int
    """Calls that the background may have under way at once: half of what the upstream works on, at least one."""
    free: bool
    """Whether fewer calls than that are under way, the callers' included."""
    resting: str | None = None
    """Why it cannot be called at all."""


def spare_capacity_of(serving: Serving, model: str) -> SpareCapacity:
    """The room for calls of a configured model.

    What runs on this machine works on few requests at once (``parallel``): there one more is begun only while nothing
    else is under way.
    """
    section = serving.settings.models.get(model)
    if section is None:
        return SpareCapacity(concurrency=1, free=False, resting=f"there is no model {model!r} any more")
    settings, upstream = serving.settings.upstreams[section.upstream], serving.upstreams[section.upstream]
    concurrency = max(1, settings.capacity // 2)
    free = not isinstance(upstream, Counting) or upstream.in_flight < concurrency
    return SpareCapacity(concurrency=concurrency, free=free, resting=upstream.ready())
