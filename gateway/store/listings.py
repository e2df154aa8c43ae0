"""Pages of the store for people: bounded reads, newest first, whatever the size of the database. Does no I/O."""

from collections.abc import Sequence
from typing import Protocol

from gateway.domain import Activation, Exchange, Feedback, Value


class ExchangeSearch(Value, frozen=True):
    """The exchanges to list. ``None`` and an empty text exclude nothing."""

    task: str | None = None
    key: str | None = None
    status: str | None = None
    arm: str | None = None
    text: str = ""
    """Part of the request's body or of the reply, as it stands there."""


class ExchangePage(Value, frozen=True):
    """A part of a list."""

    exchanges: tuple[Exchange, ...]
    looked_at: int
    """Exchanges that were compared with the search for this page."""
    before: int | None
    """The position to read on from; ``None`` at the end."""


LOOKED_AT = 5000
"""Exchanges that are compared with a search for one page at most."""


class Listed(Protocol):
    """The part of a store that lists. Each method reads a bounded number of rows."""

    def search(self, wanted: ExchangeSearch, *, before: int | None, limit: int) -> ExchangePage:
        """Return up to ``limit`` exchanges, newest first, out of a bounded number before a position."""

    def feedback_on(self, exchange_id: str) -> list[Feedback]:
        """Return every judgement of an exchange, oldest first."""

    def notes(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return several notes at once; missing ones are left out."""

    def newest_decisions(self, tasks: Sequence[str]) -> dict[str, list[Activation]]:
        """Return the newest decision of each kind about some tasks, oldest first: enough for ``active_decisions``."""

    def decisions(self, *, limit: int) -> list[Activation]:
        """Return the newest decisions about all tasks, newest first."""
