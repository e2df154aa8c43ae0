"""Disjoint sets of places (union-find), joined to a bounded size."""

from collections import defaultdict
from collections.abc import Iterable


class DisjointSets:
    """The places 0 to ``count - 1``, each in a set of its own at first."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))
        self._sizes = [1] * count

    def leader(self, place: int) -> int:
        """Return the place that stands for a set."""
        parents = self._parents
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    def size(self, place: int) -> int:
        """Return the number of places in a set."""
        return self._sizes[self.leader(place)]

    def join(self, places: Iterable[int], *, at_most: float = float("inf")) -> None:
        """Join the sets of all places, or none of them if the result would be larger than ``at_most``."""
        leaders = list(dict.fromkeys(map(self.leader, places)))
        total = sum(self._sizes[leader] for leader in leaders)
        if len(leaders) < 2 or total > at_most:
            return
        for other in leaders[1:]:
            self._parents[other] = leaders[0]
        self._sizes[leaders[0]] = total

    def sets(self) -> list[list[int]]:
        """Return the sets of two or more places, in order."""
        members: dict[int, list[int]] = defaultdict(list)
        for place in range(len(self._parents)):
            members[self.leader(place)].append(place)
        return [group for group in members.values() if len(group) > 1]
