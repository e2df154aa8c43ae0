"""Pages of the store for people: bounded reads, newest first, whatever the size of the database. Values only."""

from gateway.domain import Exchange, Value


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
