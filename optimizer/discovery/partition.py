"""Find the prompt templates behind many texts when only the texts are known.

A run of words belongs to a template if many texts contain it; rarer runs are fillings. "Many" means about the square
root of the number of compared texts. A set of n texts therefore falls into about sqrt(n) templates at most, and each
part is then divided again by itself. Two texts come from different templates if one holds a longer run of template
words than the other shares, however much boilerplate they have in common. Meaning plays no part.

Why not MinHash: the likeness of whole texts cannot tell templates apart. A document that was filled in makes texts of
one template unlike, boilerplate makes texts of two templates alike. On tests/test_optimizer_discovery_partition.py's
corpus two libraries' MinHash reached an adjusted Rand index of 0.71 to 0.88 with over 1,400 groups, at thresholds from
0.3 to 0.85 (10,000 requests of 7 kinds); this module reaches 1.0 with 7.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from gateway.domain import Value

RUN = 4
"""Words that are compared at a time."""
_DISTINCTIVE = 12
"""Words that a template has at least; texts that share fewer are divided more closely."""
_ALONE = 8
"""Words of a stretch that stands alone between fillings: shorter stretches are turns of phrase in documents."""
_NEAREST = 3
"""Templates with which a text is compared in full."""
_MOST = 64
"""Templates that are distinguished at a time; the rest follows afterwards."""


class Runs(Value, frozen=True):
    """A text as it is compared."""

    hashes: tuple[int, ...]
    """One number per word: the hash of the word and the three before it."""
    ends: tuple[float, ...]
    """Length of the text in words before each place and at its end; a segment is less than a word."""

    def length(self, start: int, end: int) -> float:
        """Return the length in words of a stretch, ``end`` exclusive."""
        return self.ends[end] - self.ends[start]


Leader = tuple[frozenset[int], list[int]]
"""The frequent runs of a template, and the texts that seem to come from it."""


class Template(Value, frozen=True):
    """The texts of one template."""

    members: tuple[int, ...]
    """Positions of the texts."""
    core: tuple[int, ...]
    """Positions of words in the first member's text that nearly all members share; empty if they share nothing."""


def partition(
    texts: Sequence[Sequence[str]],
    weights: Sequence[int],
    *,
    least: int = 3,
    size: Callable[[str], float] = lambda _: 1.0,
) -> list[Template]:
    """Return the templates behind distinct texts, each text seen ``weights`` times, the most frequent first.

    Templates differ in a run of ``least`` words or more. ``size`` tells how much of a word an element of a text is.
    """
    runs = [_runs(text, size) for text in texts]
    parts = _gather(_divide(list(range(len(texts))), runs, weights, least), runs, weights)
    templates = [_template(part, runs, weights) for part in parts]
    return sorted(templates, key=lambda item: (-sum(weights[member] for member in item.members), item.members[0]))


def _runs(text: Sequence[str], size: Callable[[str], float]) -> Runs:
    padded = ("",) * (RUN - 1) + tuple(text)
    hashes = map(hash, zip(*(padded[start:] for start in range(RUN)), strict=False))
    return Runs(hashes=tuple(hashes), ends=tuple(itertools.accumulate(map(size, text), initial=0.0)))


def _divide(part: list[int], runs: Sequence[Runs], weights: Sequence[int], least: int) -> list[list[int]]:
    """Divide a part into templates, and the pieces again until nothing falls apart."""
    if len(part) < 2:
        return [part] if part else []
    counts = _counts(part, runs, weights)
    total = sum(weights[member] for member in part)
    often = math.isqrt(total)
    floor = often // 8
    while True:
        often = max(2, often)
        pieces = _split(part, runs, weights, counts, often, least)
        if len(pieces) > 1:
            return [smaller for piece in pieces for smaller in _divide(piece, runs, weights, least)]
        shared = frozenset(run for run, count in counts.items() if count >= 0.9 * total)
        if len(shared) >= _DISTINCTIVE:
            return pieces
        if often == 2 or (shared and often <= floor):
            bare = [member for member in part if shared.issuperset(runs[member].hashes)]
            rest = [member for member in part if not shared.issuperset(runs[member].hashes)]
            return [bare, *_divide(rest, runs, weights, least)] if bare and rest else pieces
        often //= 2


def _gather(parts: Sequence[list[int]], runs: Sequence[Runs], weights: Sequence[int]) -> list[list[int]]:
    """Join parts that chance likenesses of documents made: too few texts, or no words of their own."""
    kept: list[tuple[frozenset[int], int, list[int]]] = []
    for part in sorted(parts, key=lambda part: -sum(weights[member] for member in part)):
        total = sum(weights[member] for member in part)
        core = _core(part, runs, weights)
        home = next(
            (
                members
                for shared, size, members in kept
                if len(shared) >= _DISTINCTIVE
                and len(members) > 1
                and (shared == core or (total**2 < size and shared < core))
            ),
            None,
        )
        if home is None:
            kept.append((core, total, part))
        else:
            home += part
    return [members for _, _, members in kept]


def _core(part: Sequence[int], runs: Sequence[Runs], weights: Sequence[int]) -> frozenset[int]:
    """Return the runs shared by nearly all texts of a part."""
    total = sum(weights[member] for member in part)
    return frozenset(run for run, count in _counts(part, runs, weights).items() if count >= 0.98 * total)


def _counts(part: Sequence[int], runs: Sequence[Runs], weights: Sequence[int]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for member in part:
        distinct = set(runs[member].hashes)
        if weights[member] == 1:
            counts.update(distinct)
        else:
            counts.update(dict.fromkeys(distinct, weights[member]))
    return counts


def _split(
    part: Sequence[int], runs: Sequence[Runs], weights: Sequence[int], counts: Mapping[int, int], often: int, least: int
) -> list[list[int]]:
    """Split a part by the frequent runs of its texts; templates rarer than ``often`` stay together in one piece."""
    frequent = frozenset(run for run, count in counts.items() if count >= often)
    alike: dict[frozenset[int], list[int]] = {}
    for member in part:
        alike.setdefault(_distinctive(runs[member], frequent), []).append(member)
    # The purest of a template's texts come first: those with a frequent run in a filling are compared with them.
    ordered = sorted(alike.items(), key=lambda entry: (-sum(weights[member] for member in entry[1]), len(entry[0])))
    leaders: list[Leader] = []
    rest: list[Leader] = []
    for held, members in ordered:
        near = sorted(leaders, key=lambda leader: len(leader[0]) - 2 * len(leader[0] & held))[:_NEAREST]
        home = next((leader for leader in near if _same(leader, (held, members), runs, least)), None)
        if home is not None:
            home[1].extend(members)
        else:
            (leaders if len(leaders) < _MOST else rest).append((held, members))
    large = [leader for leader in leaders if sum(weights[member] for member in leader[1]) >= often]
    rest += [leader for leader in leaders if sum(weights[member] for member in leader[1]) < often]
    homeless: list[int] = []
    for held, members in rest:
        # Too few for a template of their own: they join a template whose words they all hold, if there is any.
        near = sorted(large, key=lambda leader: -len(leader[0] & held))[:_NEAREST]
        home = next((leader for leader in near if not _has_more(leader, (held, members), runs, least)), None)
        (homeless if home is None else home[1]).extend(members)
    return [*(members for _, members in large), *([homeless] if homeless else [])]


def _distinctive(text: Runs, frequent: frozenset[int]) -> frozenset[int]:
    """Return a text's frequent runs without short isolated stretches: turns of phrase in documents."""
    kept: list[int] = []
    hashes = text.hashes
    for start, end in _stretches(_covered(text, frequent)):
        if text.length(start, end) >= _ALONE or start == 0 or end == len(hashes):
            kept += hashes[start:end]
    return frequent.intersection(kept)


def _same(leader: Leader, other: Leader, runs: Sequence[Runs], least: int) -> bool:
    """Decide whether two candidates are the same template: neither has a stretch of its own."""
    return not _has_more(leader, other, runs, least) and not _has_more(other, leader, runs, least)


def _has_more(leader: Leader, other: Leader, runs: Sequence[Runs], least: int) -> bool:
    """Decide whether a template holds a long stretch of frequent words that the other's text lacks."""
    held, text, strange = leader[0], runs[leader[1][0]], runs[other[1][0]]
    shared = held.intersection(strange.hashes)
    if len(shared) == len(held):
        return False
    own = _covered(text, held)
    common = _covered(text, shared)
    enough = max(1, min(least, text.ends[-1] // 4))
    return any(
        text.length(start, end) >= enough
        for start, end in _stretches([mine and not both for mine, both in zip(own, common, strict=True)])
    )


def _covered(text: Runs, held: frozenset[int]) -> list[bool]:
    """Return for each word whether it belongs to one of the runs."""
    covered = [False] * len(text.hashes)
    for place, run in enumerate(text.hashes):
        if run in held:
            first = max(0, place - RUN + 1)
            covered[first : place + 1] = [True] * (place + 1 - first)
    return covered


def _stretches(marks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of marks side by side: start, and end exclusive."""
    start = 0
    for mark, some in itertools.groupby(marks):
        end = start + sum(1 for _ in some)
        if mark:
            yield start, end
        start = end


def _template(part: list[int], runs: Sequence[Runs], weights: Sequence[int]) -> Template:
    members = sorted(part, key=lambda member: (-weights[member], member))
    core = _covered(runs[members[0]], _core(part, runs, weights))
    return Template(members=tuple(members), core=tuple(place for place, held in enumerate(core) if held))
