"""The exchanges meant by a request from outside: one to be judged, or many to be deleted. Pure."""

from gateway.domain import Exchange, Value
from gateway.routing.conversation import tenant_digest, tenant_in


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
