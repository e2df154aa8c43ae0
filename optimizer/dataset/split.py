"""The split of a cycle's items into three parts: items that depend on each other share a part."""

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from gateway.domain import Value
from optimizer.dataset.items import Item

Part = Literal["induction", "selection", "confirmation"]

MORE_TAUGHT = 60
"""Items beyond the cap of selection that teach: from 57 tickets a frontier model found 5 of 7 rules, from 96 6 of them;
but 20 items did not tell examples from a worksheet 24 points better (``docs/benchmark.md``)."""
_RESERVE = 3
_SELECTION_FROM = 0.3
_CONFIRMATION_FROM = 0.6


class Split(Value, frozen=True):
    """The items of a cycle in three parts without a common cluster."""

    induction: tuple[Item, ...]
    selection: tuple[Item, ...]
    confirmation: tuple[Item, ...]
    reserve: tuple[Item, ...] = ()
    """Audited items beyond the caps, for selection if candidates are near; a used one decides nothing later."""


def split(
    items: Iterable[Item], *, salt: str, selection: int, confirmation: int, spent: frozenset[str] = frozenset()
) -> Split:
    """Divide clusters by hash of name and salt: 30, 30 and 40 of a hundred, the last two parts capped.

    Only audited items may select and confirm: a cluster without any goes to induction, and other items of a selection
    or confirmation cluster are left out. A cluster keeps its part when others come. The exception are clusters with an
    item that helped to decide before (``spent``): they decide no more and move to induction. A cap is filled with as
    many clusters as there are: a flood of near-duplicates is one cluster, and takes no other's place. Clusters beyond
    the cap of selection teach as well, because selection only ranks, up to ``MORE_TAUGHT`` items. Further ones and the
    clusters beyond the cap of confirmation are the reserve, three times as large as selection at most.
    """
    clusters: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        clusters[item.unit].append(item)
    parts: dict[Part, list[list[Item]]] = {"induction": [], "selection": [], "confirmation": []}
    for name in sorted(clusters, key=lambda name: (_place(name, salt), name)):
        members = sorted(clusters[name], key=lambda item: _place(item.id, salt))
        audited = [item for item in members if item.is_audited]
        part = _part(_place(name, salt)) if audited else "induction"
        if part == "confirmation" and any(item.id in spent for item in members):
            part = "induction"
        parts[part].append(members if part == "induction" else audited)
    ranking = _capped(parts["selection"], selection)
    units = {item.unit for item in ranking}
    spare = [members for members in parts["selection"] if members[0].unit not in units]
    taught = _fitting(spare, MORE_TAUGHT)
    confirming = _capped(parts["confirmation"], confirmation)
    units = {item.unit for item in confirming}
    idle = [members for members in parts["confirmation"] if members[0].unit not in units]
    return Split(
        induction=tuple(itertools.chain(*parts["induction"], *spare[:taught])),
        selection=ranking,
        confirmation=confirming,
        reserve=_capped([*spare[taught:], *idle], _RESERVE * selection),
    )


def _fitting(clusters: Sequence[Sequence[Item]], most: int) -> int:
    """Return how many of the first clusters hold at most so many items."""
    sizes = itertools.accumulate(len(members) for members in clusters)
    return sum(size <= most for size in sizes)


def _capped(clusters: Sequence[Sequence[Item]], most: int) -> tuple[Item, ...]:
    """Return at most ``most`` items in their order: a first of each cluster, then a second of each, and so on."""
    by_round = sorted((place, number) for number, members in enumerate(clusters) for place in range(len(members)))
    taken = Counter(number for _, number in by_round[:most])
    return tuple(item for number, members in enumerate(clusters) for item in members[: taken[number]])


def _place(name: str, salt: str) -> float:
    """Return a number in 0..1 that is fixed by name and salt."""
    return int.from_bytes(hashlib.sha256(f"{salt}\n{name}".encode()).digest()[:8]) / 2**64


def _part(place: float) -> Part:
    if place < _SELECTION_FROM:
        return "induction"
    return "selection" if place < _CONFIRMATION_FROM else "confirmation"
