"""The split of a cycle's items into three parts: items that depend on each other share a part."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from gateway.domain import Value
from optimizer.dataset.items import Item

Part = Literal["induction", "selection", "confirmation"]

_SELECTION_FROM = 0.3
_CONFIRMATION_FROM = 0.6


class Split(Value, frozen=True):
    """The items of a cycle in three parts without a common cluster."""

    induction: tuple[Item, ...]
    selection: tuple[Item, ...]
    confirmation: tuple[Item, ...]


def split(
    items: Iterable[Item], *, salt: str, selection: int, confirmation: int, spent: frozenset[str] = frozenset()
) -> Split:
    """Divide clusters by hash of name and salt: 30, 30 and 40 of a hundred, the last two parts capped.

    Only audited items may select and confirm: a cluster without any goes to induction, and other items of a selection
    or confirmation cluster are left out. A cluster keeps its part when others come. The exception are clusters with an
    item that helped to decide before (``spent``): they decide no more and move to induction.
    """
    clusters: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        clusters[item.unit].append(item)
    parts: dict[Part, list[Item]] = {"induction": [], "selection": [], "confirmation": []}
    for name in sorted(clusters, key=lambda name: (_place(name, salt), name)):
        members = sorted(clusters[name], key=lambda item: _place(item.id, salt))
        audited = [item for item in members if item.is_audited]
        part = _part(_place(name, salt)) if audited else "induction"
        if part == "confirmation" and any(item.id in spent for item in members):
            part = "induction"
        parts[part] += members if part == "induction" else audited
    return Split(
        induction=tuple(parts["induction"]),
        selection=tuple(parts["selection"][:selection]),
        confirmation=tuple(parts["confirmation"][:confirmation]),
    )


def _place(name: str, salt: str) -> float:
    """Return a number in 0..1 that is fixed by name and salt."""
    return int.from_bytes(hashlib.sha256(f"{salt}\n{name}".encode()).digest()[:8]) / 2**64


def _part(place: float) -> Part:
    if place < _SELECTION_FROM:
        return "induction"
    return "selection" if place < _CONFIRMATION_FROM else "confirmation"
