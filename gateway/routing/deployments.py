"""The order in which equal deployments of a model are asked, by conversation: so prompt caches keep hitting.

Weighted rendezvous hashing: each deployment gets its share of the conversations, and one that is added or taken away
moves only the conversations that it gets or had.
"""

import math
from collections.abc import Sequence

from gateway.formats.envelope import Conversation, Envelope
from gateway.routing.conversation import bucket, cluster_of, conversation_key


def ordered(model: str, upstreams: Sequence[str], weights: Sequence[float], key: bytes) -> list[str]:
    """Return the upstreams of a model, the first choice for a conversation first."""
    shares = weights or [1.0] * len(upstreams)
    scores = {
        upstream: -math.log(1.0 - bucket(key, f"{model} at {upstream}")) / share
        for upstream, share in zip(upstreams, shares, strict=True)
    }
    return sorted(upstreams, key=scores.__getitem__)


def deployment_key(envelope: Envelope, conversation: bytes, cluster: str | None) -> bytes:
    """Return the key of a request: that of its conversation, or of the chain that it goes on with."""
    if cluster is not None:
        return cluster.encode()
    if isinstance(envelope, Conversation):
        return cluster_of(conversation or conversation_key(envelope)).encode()
    return cluster_of(envelope.body).encode()
