"""Chains of responses: a request with ``previous_response_id`` goes where the response came from.

Another upstream does not know the id; another arm in the middle of a conversation would spoil the comparison of arms.
The newest links are in memory; ``api`` finds older ones in the store. Decides nothing about versions off the air: a
chain never goes on with one of those.
"""

from collections import OrderedDict

from gateway.domain import Arm, Exchange, Value

KEPT = 50_000
"""Links in memory, about 20 MB at most."""


class Link(Value, frozen=True):
    """The way of a recorded response."""

    task: str | None
    arm: Arm
    model: str
    """The configured model."""
    rules: int | None
    key: str | None
    """Name of the client key: no other key may go on from here."""
    cluster: str | None
    """The conversation that the whole chain belongs to."""


def link_of(exchange: Exchange) -> Link:
    """Return the link of a recorded response."""
    return Link(
        task=exchange.task,
        arm=exchange.arm,
        model=exchange.model,
        rules=exchange.rules,
        key=exchange.key,
        cluster=exchange.cluster,
    )


class Chains:
    """The newest links by the response's id. For a single event loop."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._links: OrderedDict[str, Link] = OrderedDict()

    def get(self, response_id: str) -> Link | None:
        return self._links.get(response_id)

    def remember(self, response_id: str, link: Link) -> None:
        """Take a link up; the oldest goes if there are too many."""
        self._links[response_id] = link
        if len(self._links) > self._kept:
            self._links.popitem(last=False)
