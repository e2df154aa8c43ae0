"""The parts of an exchange's record that no reply waits for: tenant, cluster and the draw of the audit sample.

The writer's thread calls ``Recorder.completed``; the outcome of the exchange has no part in it.
"""

import msgspec

from gateway.domain import Exchange
from gateway.formats.envelope import Conversation, Envelope
from gateway.routing.conversation import cluster_of, tenant_of
from gateway.routing.route import RuleSnapshot
from gateway.settings import Settings

_MASK = 2**60 - 1
UNKNOWN_RATE = 1.0
"""Audit rate of a task whose traffic nobody has counted yet: with little traffic every exchange is needed."""


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


class Recorder:
    """Completes records. ``secret`` keeps the draw unknown to clients, who know the ids of their exchanges."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret.hex()

    def completed(self, exchange: Exchange, envelope: Envelope, rate: float) -> Exchange:
        """Return the exchange with tenant, cluster and audit rate: ``rate`` if the draw takes it, else 0."""
        return msgspec.structs.replace(
            exchange,
            tenant=tenant_of(envelope),
            cluster=cluster_of(envelope) if isinstance(envelope, Conversation) else None,
            audit_rate=rate if self.draws(exchange.id, rate) else 0.0,
        )

    def draws(self, exchange_id: str, rate: float) -> bool:
        """Decide whether the audit sample takes an exchange: always the same answer for one id and rate."""
        if not 0.0 < rate < 1.0:
            return rate >= 1.0
        # Python's keyed hash of texts (SipHash): a tenth of the time of a cryptographic one, on every request.
        return (hash(self._secret + exchange_id) & _MASK) / (_MASK + 1) < rate
