"""What a hundred labels of 250 audited items can show, and four ways to show more; and the most that any test could.

The incumbent is right in 80%; one pair in five differs in being right, one in ten more has two different wrong answers.
"""

import random

from optimizer.statistics.alpha_spending import STAGES, next_level, stage_level
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.paired_test import LEVEL
from optimizer.statistics.prediction_powered import TwiceLabelled, corrected
from tests.bench.distillation.replay import Table, ours, outcome, percent, replay
from tests.bench.distillation.theory import most_that_can_be_found

ITEMS, LABELS = 250, 100
ONE_LOOK_Z = 1.645
ALONE, ONE_LOOK, MODEL_20, MODEL_10, FIRST, CARRIED = (
    "100 at random, as the gate does",
    "the same, one look instead of four",
    "and a model's for all 250, wrong on 20%",
    "and a model's for all 250, wrong on 10%",
    "100 where the answers differ",
    "100 at random a cycle, carried on for three",
)


def moved(dice: random.Random, change: float) -> float:
    luck, fixed = dice.random(), 0.1 + change / 2
    return 1.0 if luck < fixed else -1.0 if luck < 0.2 else 0.0


def adopted(dice: random.Random, way: str, change: float) -> bool:
    """Whether one candidate is adopted."""
    truths = [moved(dice, change) for _ in range(ITEMS)]
    if way == ALONE:
        return ours([outcome(at, truth) for at, truth in enumerate(truths[:LABELS])]).better
    if way == ONE_LOOK:
        sample = PairedSample(outcomes=tuple(outcome(at, truth) for at, truth in enumerate(truths[:LABELS])))
        return sample.z >= ONE_LOOK_Z and sample.p_better <= LEVEL
    if way in (MODEL_20, MODEL_10):
        return _beside_a_model(dice, truths, 0.2 if way == MODEL_20 else 0.1)
    if way == FIRST:
        return _where_answers_differ(dice, truths)
    return _carried_on(dice, change)


def _beside_a_model(dice: random.Random, truths: list[float], errs: float) -> bool:
    twice = [
        TwiceLabelled(
            by_model=outcome(at, truth if dice.random() >= errs else -truth),
            by_person=outcome(at, truth) if at < LABELS else None,
        )
        for at, truth in enumerate(truths)
    ]
    dice.shuffle(twice)

    def seen(upto: int) -> PairedSample:
        return PairedSample(outcomes=corrected(twice[:upto]) if any(item.by_person for item in twice[:upto]) else ())

    return replay(ITEMS, seen).better


def _where_answers_differ(dice: random.Random, truths: list[float]) -> bool:
    """Equal answers need no label; of the others, which may be too many, each label stands for its share."""
    outcomes: list[PairedOutcome] = []
    differing = [truth for truth in truths if truth or dice.random() < 0.125]
    weight = max(1.0, len(differing) / LABELS)
    outcomes += [outcome(f"differs {at}", truth, weight) for at, truth in enumerate(differing[:LABELS])]
    outcomes += [outcome(f"equal {at}", 0.0) for at in range(ITEMS - len(differing))]
    dice.shuffle(outcomes)
    return ours(outcomes).better


def _carried_on(dice: random.Random, change: float) -> bool:
    """A scheduled test, the first of its task, at its own level."""
    level, items = next_level("task", []), list[PairedOutcome]()
    for stage in range(min(3, len(STAGES))):
        begun = len(items)
        items += [outcome(begun + at, moved(dice, change)) for at in range(LABELS)]
        tested = ours(items, level=stage_level(level, stage), begun=begun)
        if tested.better or not tested.may_go_on:
            return tested.better
    return False


def cell(runs: int, seed: int, way: str) -> list[object]:
    """Adopted in percent, without a gain and with one of ten points."""
    dice = random.Random(f"{seed} {way}")
    rates = [percent(sum(adopted(dice, way, change) for _ in range(runs)), runs) for change in (0.0, 0.1)]
    best = f"{100 * most_that_can_be_found(LABELS, 0.15, 0.05):.1f}" if way in (ALONE, ONE_LOOK) else "-"
    return [way, *rates, best]


HUNDRED = Table(
    ["labels by people", "+0", "+10", "+10, any test on these labels"],
    [(way,) for way in (ALONE, ONE_LOOK, MODEL_20, MODEL_10, FIRST, CARRIED)],
    cell,
)
