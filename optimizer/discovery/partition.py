"""Which prompt template each of many texts was made from, when only the texts are known.

A run of words belongs to a template if it stands in many texts; what stands in few is what a template was filled with.
Many means about the square root of the number of texts that are compared, so that a set of n texts falls into about
sqrt(n) templates at most, and each part is then looked at again by itself. Two texts come from different templates
where one holds a longer run of template words that the other lacks, however much boilerplate they share. Knows no
meaning.

Why not MinHash: likeness of whole texts cannot tell this. A document that was filled in makes texts of one template
unlike, boilerplate makes texts of two templates alike. On tests/test_optimizer_discovery_partition.py's corpus two
libraries' MinHash came to an adjusted Rand index of 0.71 to 0.88 with over 1,400 groups, at thresholds from 0.3 to 0.85
(10,000 requests of 7 kinds); this comes to 1.0 with 7.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from gateway.domain import Value

RUN = 4
"""Words that are compared at a time."""
_TELLING = 12
"""Words that a template has at least; texts that share fewer are looked at more closely."""
_ALONE = 8
"""Words of a stretch that stands alone between filled-in words: shorter ones are turns of phrase in documents."""
_NEAREST = 3
"""Templates with which a text is compared in full."""

_MOST = 64
"""Templates that are told apart at a time; the rest is looked at afterwards."""

Runs = tuple[int, ...]
"""One number per word: the hash of the word and the three before it."""
Leader = tuple[frozenset[int], list[int]]
"""The frequent runs of a template, and the texts that seem to come from it."""


class Template(Value, frozen=True):
    """Texts that come from one template."""

    members: tuple[int, ...]
    """Positions of the texts."""
    core: tuple[int, ...]
    """Positions of the words in the first member's text that stand in nearly all; none if they share nothing."""


def partition(texts: Sequence[Sequence[str]], weights: Sequence[int], *, least: int = 3) -> list[Template]:
    """The templates behind distinct texts, each text seen ``weights`` times; the one seen most comes first.

    Templates differ in a run of ``least`` words or more.
    """
    runs = [_runs(text) for text in texts]
    parts = _gathered(_parted(list(range(len(texts))), runs, weights, least), runs, weights)
    found = [_template(part, runs, weights) for part in parts]
    return sorted(found, key=lambda one: (-sum(weights[member] for member in one.members), one.members[0]))


def _runs(text: Sequence[str]) -> Runs:
    padded = ("",) * (RUN - 1) + tuple(text)
    return tuple(map(hash, zip(*(padded[start:] for start in range(RUN)), strict=False)))


def _parted(part: list[int], runs: Sequence[Runs], weights: Sequence[int], least: int) -> list[list[int]]:
    """The templates in a part; parts are looked at again until nothing falls apart."""
    if len(part) < 2:
        return [part] if part else []
    counts = _counts(part, runs, weights)
    total = sum(weights[one] for one in part)
    often = math.isqrt(total)
    floor = often // 8
    while True:
        often = max(2, often)
        found = _split(part, runs, weights, counts, often, least)
        if len(found) > 1:
            return [one for some in found for one in _parted(some, runs, weights, least)]
        shared = frozenset(run for run, count in counts.items() if count >= 0.9 * total)
        if len(shared) >= _TELLING:
            return found
        if often == 2 or (shared and often <= floor):
            bare = [one for one in part if shared.issuperset(runs[one])]
            more = [one for one in part if not shared.issuperset(runs[one])]
            return [bare, *_parted(more, runs, weights, least)] if bare and more else found
        often //= 2


def _gathered(parts: Sequence[list[int]], runs: Sequence[Runs], weights: Sequence[int]) -> list[list[int]]:
    """The parts without those that only chance likenesses of documents made: too few texts, or nothing of their own."""
    kept: list[tuple[frozenset[int], int, list[int]]] = []
    for part in sorted(parts, key=lambda part: -sum(weights[one] for one in part)):
        total = sum(weights[one] for one in part)
        core = _core(part, runs, weights)
        home = next(
            (
                members
                for shared, size, members in kept
                if len(shared) >= _TELLING
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
    """The runs that nearly all texts of a part hold."""
    total = sum(weights[one] for one in part)
    return frozenset(run for run, count in _counts(part, runs, weights).items() if count >= 0.98 * total)


def _counts(part: Sequence[int], runs: Sequence[Runs], weights: Sequence[int]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for one in part:
        distinct = set(runs[one])
        if weights[one] == 1:
            counts.update(distinct)
        else:
            counts.update(dict.fromkeys(distinct, weights[one]))
    return counts


def _split(
    part: Sequence[int], runs: Sequence[Runs], weights: Sequence[int], counts: Mapping[int, int], often: int, least: int
) -> list[list[int]]:
    """The part by which frequent runs its texts hold; what is rarer than ``often`` stays together in one part."""
    frequent = frozenset(run for run, count in counts.items() if count >= often)
    alike: dict[frozenset[int], list[int]] = {}
    for one in part:
        alike.setdefault(_telling(runs[one], frequent), []).append(one)
    # The purest of a template's texts come first: those with something frequent in a filling are compared with them.
    ordered = sorted(alike.items(), key=lambda entry: (-sum(weights[one] for one in entry[1]), len(entry[0])))
    leaders: list[Leader] = []
    rest: list[Leader] = []
    for held, members in ordered:
        near = sorted(leaders, key=lambda leader: len(leader[0]) - 2 * len(leader[0] & held))[:_NEAREST]
        home = next((one for one in near if _same(one, (held, members), runs, least)), None)
        if home is not None:
            home[1].extend(members)
        else:
            (leaders if len(leaders) < _MOST else rest).append((held, members))
    large = [leader for leader in leaders if sum(weights[one] for one in leader[1]) >= often]
    rest += [leader for leader in leaders if sum(weights[one] for one in leader[1]) < often]
    homeless: list[int] = []
    for held, members in rest:
        # Too few for a template of their own: they belong to the one whose words they all hold, if there is one.
        near = sorted(large, key=lambda leader: -len(leader[0] & held))[:_NEAREST]
        home = next((one for one in near if not _tells(one, (held, members), runs, least)), None)
        (homeless if home is None else home[1]).extend(members)
    return [*(members for _, members in large), *([homeless] if homeless else [])]


def _telling(text: Runs, frequent: frozenset[int]) -> frozenset[int]:
    """The frequent runs of a text, without short stretches that stand alone: those are turns of phrase in documents."""
    kept: list[int] = []
    for start, end in _stretches(_covered(text, frequent)):
        if end - start >= _ALONE or start == 0 or end == len(text):
            kept += text[start:end]
    return frequent.intersection(kept)


def _same(one: Leader, other: Leader, runs: Sequence[Runs], least: int) -> bool:
    """Whether neither of two templates tells itself from the other."""
    return not _tells(one, other, runs, least) and not _tells(other, one, runs, least)


def _tells(one: Leader, other: Leader, runs: Sequence[Runs], least: int) -> bool:
    """Whether a template holds a longer stretch of frequent words that the other's text does not have."""
    held, text, strange = one[0], runs[one[1][0]], runs[other[1][0]]
    shared = held.intersection(strange)
    if len(shared) == len(held):
        return False
    own = _covered(text, held)
    common = _covered(text, shared)
    least = max(1, min(least, len(text) // 4))
    return any(
        end - start >= least
        for start, end in _stretches([mine and not both for mine, both in zip(own, common, strict=True)])
    )


def _covered(text: Runs, held: frozenset[int]) -> list[bool]:
    """For each word whether it belongs to one of the runs."""
    covered = [False] * len(text)
    for place, run in enumerate(text):
        if run in held:
            first = max(0, place - RUN + 1)
            covered[first : place + 1] = [True] * (place + 1 - first)
    return covered


def _stretches(marks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Where marks stand side by side: from, and up to but not including."""
    start = 0
    for mark, some in itertools.groupby(marks):
        end = start + sum(1 for _ in some)
        if mark:
            yield start, end
        start = end


def _template(part: list[int], runs: Sequence[Runs], weights: Sequence[int]) -> Template:
    members = sorted(part, key=lambda one: (-weights[one], one))
    core = _covered(runs[members[0]], _core(part, runs, weights))
    return Template(members=tuple(members), core=tuple(place for place, held in enumerate(core) if held))
