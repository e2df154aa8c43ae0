"""Promises: how often the interval of a published gain holds the truth, where only lucky gains are published."""

import random
from collections.abc import Sequence

from optimizer.statistics.adjusted_gain import AdjustedGain, LookState, adjusted_gain
from optimizer.statistics.cluster_sums import PairedOutcome
from optimizer.statistics.label_weights import label_weights
from optimizer.statistics.paired_test import paired_interval
from tests.bench.distillation.habits import HABITS, draw
from tests.bench.distillation.replay import Replayed, Table, ours, outcome, percent

TRIES = 20_000
"""Candidates that are tried for so many published gains."""


def promised(tested: Replayed) -> AdjustedGain:
    """The promise of an adopted candidate, as ``optimizer.distillation.confirmation`` makes it."""
    gate, looks = tested.gate, tested.looks
    per_item = tested.sample.weight / tested.sample.n
    later = [
        LookState(weight=gate.looks()[place] * per_item, total=0.0, squares=0.0, flips=0, clusters=0,
                  needed=gate.needed(place + 1), level=gate.level, futile_below=gate.futile_below(place + 1))
        for place in range(len(looks), 4)
    ]  # fmt: skip
    return adjusted_gain(looks, later)


def independent(dice: random.Random, n: int, differing: float, change: float) -> list[PairedOutcome]:
    share = max(differing, change)
    fixed, broken = (share + change) / 2, (share - change) / 2
    draws = [dice.random() for _ in range(n)]
    return [outcome(at, 1.0 if luck < fixed else -1.0 if luck > 1 - broken else 0.0) for at, luck in enumerate(draws)]


def weighted(dice: random.Random, queue: int, change: float) -> list[PairedOutcome]:
    """Complaints about half of the wrong replies, and so many labels of the queue."""
    while True:
        drawn = draw(dice, HABITS["half of the wrong, none of the right"], queue, change)
        weighed = label_weights(drawn.origins)
        if not weighed.problem:
            break
    labelled = [at for at, origin in enumerate(drawn.origins) if origin != "none"]
    dice.shuffle(labelled)
    return [outcome(at, drawn.changes[at], weighed.weights[at]) for at in labelled]


def five_turns(dice: random.Random, n: int, change: float) -> list[PairedOutcome]:
    """Conversations of five turns of which two in five share a fate."""
    outcomes: list[PairedOutcome] = []
    while len(outcomes) < n:
        shared, cluster = dice.random(), len(outcomes)
        for _ in range(5):
            luck = shared if dice.random() < 0.4 else dice.random()
            fixed, broken = 0.1 + change / 2, 0.1 - change / 2
            outcomes.append(outcome(cluster, 1.0 if luck < fixed else -1.0 if luck > 1 - broken else 0.0))
    return outcomes


def cell(runs: int, seed: int, kind: str, n: int, change: float) -> list[object]:
    """Coverage of ``runs`` published gains, or of those among 20,000 candidates."""
    dice = random.Random(f"{seed} {kind} {n} {change}")
    kept = raw = tries = count = 0
    measured = gain = 0.0
    while count < runs and tries < TRIES:
        tries += 1
        tested = ours(drawn(dice, kind, n, change))
        if not tested.better:
            continue
        adjusted = promised(tested)
        count += 1
        kept += adjusted.interval[0] <= change <= adjusted.interval[1]
        low, high = paired_interval(tested.sample.pairs) if "differ" in kind else tested.sample.interval
        raw += low <= change <= high
        measured, gain = measured + tested.sample.change, gain + adjusted.gain
    return [kind, n, f"{100 * change:+.0f}", percent(count, tries), count, percent(kept, count), percent(raw, count),
            f"{100 * measured / max(1, count):+.1f}", f"{100 * gain / max(1, count):+.1f}"]  # fmt: skip


def drawn(dice: random.Random, kind: str, n: int, change: float) -> Sequence[PairedOutcome]:
    if kind == "complaints and the queue":
        return weighted(dice, n, change)
    if kind == "five turns":
        return five_turns(dice, n, change)
    return independent(dice, n, float(kind.split("%")[0]) / 100, change)


COVERAGE = Table(
    ["items", "n", "truth", "published", "cases", "held: adjusted", "held: raw", "measured", "promised"],
    [
        *((f"{share}% differ", n, change) for share in (12, 20, 40) for n in (50, 100, 250)
          for change in (0.0, 0.02, 0.05, 0.1, 0.15)),
        *(("five turns", n, change) for n in (100, 250) for change in (0.0, 0.05, 0.1, 0.15)),
        *(("complaints and the queue", n, change) for n in (40, 100) for change in (0.0, 0.1)),
    ],
    cell,
)  # fmt: skip
