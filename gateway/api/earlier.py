"""The earlier response of a request: from memory, or from the store in a thread."""

import asyncio
import logging

from gateway.auth import Holder
from gateway.errors import StoreError
from gateway.routing.chains import Link, link_of
from gateway.services import Services

log = logging.getLogger(__name__)

_LONGEST = 200
"""Characters of an id; longer ones are no response's."""


def conversation_id(given: object) -> str | None:
    """Return the id in a request's ``conversation``: a string, or an object with it."""
    id_ = given.get("id") if isinstance(given, dict) else given
    return id_ if isinstance(id_, str) and 0 < len(id_) <= _LONGEST else None


def link_of_conversation(id_: str | None, services: Services, holder: Holder | None) -> Link | None:
    """Return the way of the newest request in a stored conversation of this client, as far as it is in memory."""
    link = services.chains.get(id_) if id_ is not None else None
    return link if link is not None and link.key == (holder.name if holder is not None else None) else None


async def link_to(response_id: object, services: Services, holder: Holder | None) -> Link | None:
    """Return the way of an earlier response of this client; ``None`` for any other id.

    While the store fails, only the newest responses are known.
    """
    if not isinstance(response_id, str) or len(response_id) > _LONGEST:
        return None
    link = services.chains.get(response_id)
    if link is None:
        try:
            exchange = await asyncio.to_thread(services.store.exchange, response_id)
        except StoreError as error:
            log.warning("an earlier response cannot be looked up: %s", error, extra={"action": "chains.store_failed"})
            return None
        if exchange is None:
            return None
        link = link_of(exchange)
        services.chains.remember(response_id, link)
    return link if link.key == (holder.name if holder is not None else None) else None
