"""Clusters: items that depend on each other, because they come from one conversation, ask nearly the same or come from
one user.

Items of a cluster share a part of the split, and count as one observation with several measurements: 20 copies of a
question are no 20 questions. Users with many items are divided, so that clusters remain.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import msgspec

from optimizer.dataset.disjoint_sets import DisjointSets
from optimizer.dataset.families import LARGEST, families
from optimizer.dataset.items import Item

USER_SHARE = 1 / 20
"""Share of all items up to which a cluster may grow by the items of one user."""


def with_clusters(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items with the name of their cluster; on entry, ``cluster`` names the conversation.

    A cluster is named after its first item in the order of ids. Conversations are never divided.
    """
    clusters = DisjointSets(len(items))
    for conversation in _equal(item.cluster or None for item in items):
        clusters.join(conversation)
    for family in sorted(families(items), key=len):
        clusters.join(family, at_most=max(2, LARGEST * len(items)))
    for user in _equal(item.tenant for item in items):
        clusters.join(user, at_most=max(2, USER_SHARE * len(items)))
    names = dict.fromkeys(range(len(items)), "")
    for members in clusters.sets():
        names |= dict.fromkeys(members, min(items[place].id for place in members))
    return tuple(msgspec.structs.replace(item, cluster=names[place]) for place, item in enumerate(items))


def _equal(keys: Iterable[Hashable | None]) -> list[list[int]]:
    """Return the places of equal keys, without ``None``, smallest groups first."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        if key is not None:
            groups[key].append(place)
    return sorted(groups.values(), key=len)
