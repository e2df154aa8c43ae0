"""Divide requests with the same instructions by their tools. An agent with a varying tool list is one kind.

Two lists belong together if the shorter shares most of its tools with the longer: optional tools, a list that grows.
A list too rare for a kind of its own joins the lists with which it shares a tool: tools retrieved for each request.
Knows nothing of texts.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

SHARED = 0.6
"""Share of the shorter list at least, for two lists to belong to one kind."""
COMMON = 0.9
"""Share of a kind's requests at least that offer a tool, for the tool to count as fixed."""

ToolList = tuple[str, ...]


def divide(lists: Mapping[ToolList, int]) -> list[set[ToolList]]:
    """Divide distinct tool lists, each seen so many times, into kinds, the most frequent first.

    The empty list is a kind of its own. "Rare" means fewer times than the square root of all requests.
    """
    rare = math.isqrt(sum(lists.values()))
    kinds: list[set[ToolList]] = []
    for tools in sorted(lists, key=lambda tools: (-lists[tools], tools)):
        related = [kind for kind in kinds if any(_alike(tools, other) for other in kind)]
        if not related and lists[tools] <= rare:
            related = _touched(tools, kinds, lists, rare)
        kinds = [kind for kind in kinds if kind not in related]
        kinds.append({tools}.union(*related))
    return sorted(kinds, key=lambda kind: (-sum(lists[tools] for tools in kind), min(kind)))


def _alike(tools: ToolList, other: ToolList) -> bool:
    shared = len(set(tools).intersection(other))
    return bool(shared) and shared >= SHARED * min(len(tools), len(other))


def _touched(
    tools: ToolList, kinds: Collection[set[ToolList]], lists: Mapping[ToolList, int], rare: int
) -> list[set[ToolList]]:
    """Return the kinds for a rare list: the nearest frequent kind, or else every rare kind with a tool in common."""
    own = set(tools)
    shared = [(len(own.intersection(*[set().union(*kind)])), kind) for kind in kinds]
    touching = [(count, kind) for count, kind in shared if count]
    frequent = [(count, kind) for count, kind in touching if any(lists[member] > rare for member in kind)]
    if frequent:
        return [max(frequent, key=lambda pair: pair[0])[1]]
    return [kind for _, kind in touching]


def fixed_and_varying(lists: Iterable[ToolList]) -> tuple[ToolList, ToolList]:
    """Return the tools that nearly all requests offer, sorted, and the others, the most frequent first."""
    given = list(lists)
    counts = Counter(name for tools in given for name in tools)
    fixed = tuple(sorted(name for name, count in counts.items() if count >= COMMON * len(given)))
    others = sorted(counts.keys() - fixed, key=lambda name: (-counts[name], name))
    return fixed, tuple(others)
