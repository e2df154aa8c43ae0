"""The record of an exchange: how much of its texts is kept, and the draw of the audit sample."""

from typing import Final

import msgspec

from gateway.domain import Exchange
from gateway.routing.route import RuleSnapshot
from gateway.settings import Settings
from gateway.settings.base import RecordMode

_MASK = 2**60 - 1
UNKNOWN_RATE = 1.0
"""Audit rate of a task whose traffic nobody has counted yet: with little traffic every exchange is needed."""

MOST_UNFINISHED: Final = 65_536
"""Characters of a reply that did not come to its end: nobody learns from it, and a client that hangs up would fill the
disk with streams."""

ALWAYS_KEPT: Final = 65_536
"""Bytes of request and reply below every bound (``server.max_record_mb`` is 0.1 at least)."""


def bounded(exchange: Exchange, most_bytes: float) -> Exchange:
    """Return the exchange with the beginning of an unfinished reply, and without texts of more than ``most_bytes``."""
    if exchange.status != "ok" and exchange.reply is not None and len(exchange.reply) > MOST_UNFINISHED:
        exchange = msgspec.structs.replace(exchange, reply=exchange.reply[:MOST_UNFINISHED])
    calls = sum(len(call.arguments) for call in exchange.tool_calls) if exchange.tool_calls else 0
    if len(exchange.request) + len(exchange.reply or "") + calls <= most_bytes:
        return exchange
    return msgspec.structs.replace(exchange, request=b"{}", reply=None, tool_calls=())


def record_mode(task: str | None, settings: Settings, most: RecordMode = "all") -> RecordMode:
    """Return how much of an exchange is recorded: by its task, else by the server, and at most what its key allows."""
    section = settings.tasks.get(task) if task is not None else None
    configured = settings.server.record if section is None or section.record is None else section.record
    return configured if most == "all" or configured == "off" else most


def audit_rate(task: str | None, settings: Settings, snapshot: RuleSnapshot) -> float:
    """Return the probability with which an exchange of a task is audited: as configured, else as the optimizer set it.

    0 without a task.
    """
    section = settings.tasks.get(task) if task is not None else None
    if task is None or section is None:
        return 0.0
    if section.audit.share is not None:
        return section.audit.share
    split = snapshot.splits.get(task)
    return UNKNOWN_RATE if split is None or split.audit_rate is None else split.audit_rate


class AuditDraw:
    """Draws the audit sample. ``secret`` keeps the draw unknown to clients, who know the ids of their exchanges.

    The outcome of an exchange has no part in it.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret.hex()

    def draws(self, exchange_id: str, rate: float) -> bool:
        """Decide whether the audit sample takes an exchange: always the same answer for one id and rate."""
        if not 0.0 < rate < 1.0:
            return rate >= 1.0
        # Python's keyed hash of texts (SipHash): a tenth of the time of a cryptographic one, on every request.
        return (hash(self._secret + exchange_id) & _MASK) / (_MASK + 1) < rate
