"""The gateway as its learner sees it: the configuration in effect, the store, the upstreams, clocks.

Small on purpose. The optimizer gets a ``LearnerContext`` and never the whole ``Services``: it can neither answer
clients nor write exchanges. A running gateway makes a context (``Services.learner_context``), and so does a process
that only learns.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.background import Background
from gateway.domain import Usage
from gateway.quotas.quotas import Claim
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.upstream.base import Upstream

Gauge = Callable[[str, str, Callable[[], float]], None]
"""Publish a metric by name and description; the function returns the value at every scrape."""


def _no_gauge(name: str, text: str, read: Callable[[], float]) -> None:
    """Publish nothing: a process without ``/metrics``."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The settings of one moment with the upstreams built from them. A reload makes another; read it once per step."""

    settings: Settings
    upstreams: Mapping[str, Upstream]


class Purse(Protocol):
    """Learning's money over several gateways; ``gateway.spending.purse`` has it."""

    async def reserve(self, task: str, usd: float) -> Claim | None:
        """Reserve money under a task's budget; ``None`` without a budget. Raises ``RateLimited``, ``Overloaded``."""

    def pay(self, claim: Claim | None, place: tuple[str, str, str, str], usage: Usage, usd: float) -> None:
        """Put the true cost in the place of a reservation, and into the book."""

    async def store(self) -> None:
        """Store the payments. Raises ``StoreError``."""


@dataclass(frozen=True, kw_only=True)
class LearnerContext:
    """The optimizer's view of a gateway. Clocks are in seconds; ``wall_clock`` since the epoch."""

    configuration: Callable[[], Configuration]
    """Return the configuration in effect now."""
    store: Store
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    on_reload: list[Callable[[], None]] = field(default_factory=list)
    """Functions called after a new configuration came into effect; append to it, and remove what was appended."""
    background: Background = field(default_factory=Background)
    """Supervisor of background loops: ``async with context.background.running("sweep", work): ...``."""
    gauge: Gauge = _no_gauge
    purse: Purse | None = None
    """Money shared with other gateways; ``None``: by the store alone."""

    @property
    def settings(self) -> Settings:
        """The settings in effect now."""
        return self.configuration().settings

    @property
    def upstreams(self) -> Mapping[str, Upstream]:
        """The upstreams in effect now, by name."""
        return self.configuration().upstreams
