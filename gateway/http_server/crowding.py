"""Room for another connection in a full house: the longest idle ones go first, and never a request under way."""

from collections.abc import Iterable
from typing import Protocol

_AT_ONCE = 0.05
"""Share of all connections closed at once: under attack, not every new connection costs a look at all others."""


class Guest(Protocol):
    """A connection that may have to go."""

    @property
    def idle_since(self) -> float | None:
        """Time of the last byte received; ``None`` while a complete head waits for its answer."""

    def evict(self) -> None:
        """Close the connection."""


def make_room(guests: Iterable[Guest]) -> bool:
    """Close some of the connections without a request under way. Return whether there were any."""
    guests = list(guests)
    idle = sorted(((since, number) for number, guest in enumerate(guests) if (since := guest.idle_since) is not None))
    for _, number in idle[: max(1, int(_AT_ONCE * len(guests)))]:
        guests[number].evict()
    return bool(idle)
