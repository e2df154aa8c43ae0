"""The memory of all request bodies in a process: many large requests at once must not use up the machine's."""

from collections.abc import Callable

from gateway.errors import Overloaded


class BodyMemory:
    """A count of the bytes of request bodies. ``most`` returns the limit in effect now."""

    def __init__(self, most: Callable[[], float]) -> None:
        self.held = 0
        """Bytes."""
        self._most = most

    def take(self, size: int) -> None:
        """Count arrived bytes. Raises ``Overloaded`` beyond the limit; even then they count until ``free``."""
        self.held += size
        if self.held > self._most():
            raise Overloaded(
                "The gateway holds too many large requests: try again later (server.max_bodies_mb).",
                code="too_many_bodies",
            )

    def free(self, size: int) -> None:
        """Count bytes as no longer held."""
        self.held -= size
