"""The choice of exchanges: one to be judged, many to be deleted, and as many as fit into memory. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from gateway.domain import Exchange, Value
from gateway.routing.conversation import tenant_digest, tenant_in

T = TypeVar("T")

PAGE_BYTES: Final = 16_000_000
"""Bytes of requests and replies at which a page of exchanges ends: one that is abandoned may have megabytes."""


class Address(Value, frozen=True):
    """The exchange meant by a client: by its id or else by ``ref``, the client's own name for the request."""

    id: str | None = None
    ref: str | None = None
    key: str | None = None
    """Name of the key that asks: it finds its own exchanges, and those recorded without a key."""
    any_key: bool = False
    """Find exchanges of every key."""


class Selection(Value, frozen=True):
    """Exchanges to be deleted: those with one of the ids, of a key, or of an end user."""

    ids: frozenset[str] = frozenset()
    key: str | None = None
    user: str | None = None
    """The end user as the client names it."""


def shadow_id(exchange_id: str) -> str:
    """Return the id of the background answer to an exchange's request: there is one at most."""
    return f"shadow-{exchange_id}"


def selects(selection: Selection, exchange: Exchange) -> bool:
    """Decide whether an exchange is selected."""
    if exchange.id in selection.ids or (selection.key is not None and exchange.key == selection.key):
        return True
    if selection.user is None:
        return False
    tenant = exchange.tenant if exchange.tenant is not None else tenant_in(exchange.request)
    return tenant == tenant_digest([selection.user])


def size_of(exchange: Exchange) -> int:
    """Return the bytes of the request and the characters of the reply."""
    return len(exchange.request) + len(exchange.reply or "")


def page_of(things: Iterable[T], size: Callable[[T], int], most: int = PAGE_BYTES) -> list[T]:
    """Return the first things up to ``most`` bytes together, and one at least. The rest is not even read."""
    page, used = list[T](), 0
    for thing in things:
        used += size(thing)
        if page and used > most:
            break
        page.append(thing)
    return page


def fitting(sizes: Sequence[tuple[T, int]], most: int) -> list[T]:
    """Return the things that fit into ``most`` bytes together, in their order: the largest are left out first.

    Of equals the last is left out first. So a few huge exchanges never displace many usual ones.
    """
    kept, used = set(), 0
    for place in sorted(range(len(sizes)), key=lambda place: (sizes[place][1], place)):
        used += sizes[place][1]
        if used > most:
            break
        kept.add(place)
    return [thing for place, (thing, _) in enumerate(sizes) if place in kept]
