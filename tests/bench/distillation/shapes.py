"""Shapes of a gain: in clusters, in groups, in a model's eyes, and over many scheduled tests."""

import random

from optimizer.statistics.alpha_spending import PROMISING, STAGES, ScheduledTest, next_level, stage_level
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.group_guard import group_changes
from optimizer.statistics.prediction_powered import TwiceLabelled, corrected
from tests.bench.distillation import previous_gate
from tests.bench.distillation.replay import OTHERS, Table, ours, outcome, percent, replay


def clusters(
    runs: int, seed: int, size: int, together: float, differing: float, change: float = 0.0, n: int = 250
) -> list[object]:
    """Adopted in percent; the copies of a cluster agree in the given share of cases."""
    dice = random.Random(f"{seed} {size} {together} {differing}" + (f" {change}" if change else ""))
    fixed = (differing + change) / 2
    mine, theirs = 0, dict.fromkeys(OTHERS, 0)
    for _ in range(runs):
        changes: list[tuple[int, float]] = []
        while len(changes) < n:
            shared = dice.random()
            for _copy in range(min(size, n - len(changes))):
                luck = shared if dice.random() < together else dice.random()
                changes.append((len(changes) // size, 1.0 if luck < fixed else -1.0 if luck < differing else 0.0))
        mine += ours([outcome(cluster, moved) for cluster, moved in changes]).better
        for rule, adopts in OTHERS.items():
            theirs[rule] += adopts([moved for _, moved in changes])
    return [size, f"{together:.0%}", f"{differing:.0%}", f"{100 * change:+.0f}", percent(mine, runs),
            *(percent(count, runs) for count in theirs.values())]  # fmt: skip


CLUSTERS = Table(
    ["cluster", "alike", "pairs that differ", "truth", "ours", *OTHERS],
    [
        *((size, alike, differing) for size in (1, 2, 5, 10, 20) for alike in (0.4, 1.0) for differing in (0.2, 0.5)),
        *((size, 0.4, 0.2, 0.1) for size in (1, 2, 5, 10, 20)),
    ],
    clusters,
)


def scheduled(dice: random.Random, n: int, useful: float, *, tests: int = 10) -> tuple[bool, int]:
    """Whether a gain of 10 points was found within so many scheduled tests, and how many useless ones were adopted."""
    made: list[ScheduledTest] = []
    useless, helps, level, stage = 0, False, 0.0, 0
    items: list[PairedOutcome] = []
    for _ in range(tests):
        if not items:
            helps, level, stage = dice.random() < useful, next_level("task", made), 0
        begun = len(items)
        items += [outcome(begun + at, value) for at, value in enumerate(_moved(dice, n, helps))]
        taken = stage_level(level, stage)
        tested = ours(items, level=taken, begun=begun)
        made.append(ScheduledTest(task="task", level=taken, adopted=tested.better, begins=stage == 0))
        if tested.better:
            if helps:
                return True, useless
            useless, items = useless + 1, []
        elif tested.may_go_on and tested.sample.z >= PROMISING and stage + 1 < len(STAGES):
            stage += 1
        else:
            items = []
    return False, useless


def scheduled_before(
    dice: random.Random, n: int, useful: float, *, tests: int = 10, others: int = 0
) -> tuple[bool, int]:
    """The same with the shared account of 327abc6, after ``others`` tests of other tasks that adopted nothing."""
    account, since, useless = 0.09, 1, 0
    for turn in range(others + tests):
        price = account / (1 + since)
        level = min(0.05, price / (1 + price))
        helps = turn >= others and dice.random() < useful
        moved = _moved(dice, n, helps)
        adopted = turn >= others and previous_gate.adopts(moved, level=level)
        if adopted and helps:
            return True, useless
        useless += adopted
        account, since = (account + 0.1, 1) if adopted else (max(0.0, account - level / (1 - level)), since + 1)
    return False, useless


def _moved(dice: random.Random, n: int, helps: bool) -> list[float]:
    fixed, broken = (0.15, 0.05) if helps else (0.1, 0.1)
    draws = [dice.random() for _ in range(n)]
    return [1.0 if luck < fixed else -1.0 if luck > 1 - broken else 0.0 for luck in draws]


def accounts(runs: int, seed: int, n: int) -> list[object]:
    """A true +10 found within 10 scheduled tests; half of the candidates are null, 20% of the pairs differ."""
    dice = random.Random(f"{seed} {n}")
    mine = [scheduled(dice, n, 0.5) for _ in range(runs)]
    nulls = [scheduled(dice, n, 0.0, tests=40) for _ in range(runs)]
    before = [scheduled_before(dice, n, 0.5) for _ in range(runs)]
    busy = [scheduled_before(dice, n, 0.5, others=20) for _ in range(runs)]
    return [n, *(percent(sum(hit for hit, _ in some), runs) for some in (mine, before, busy)),
            percent(sum(useless > 0 for _, useless in nulls), runs)]  # fmt: skip


ACCOUNTS = Table(
    ["new items a test", "ours", "327abc6", "327abc6 after 20 tests of other tasks", "ours: any of 40 nulls adopted"],
    [(50,), (100,), (200,)],
    accounts,
)


def groups(runs: int, seed: int, name: str, harmed: bool, n: int = 200) -> list[object]:
    """Adopted in percent: one of ten classes falls from 60% to 0 while the total rises; and a gain for all classes."""
    dice = random.Random(f"{seed} {name}")
    mine, theirs = 0, dict.fromkeys(OTHERS, 0)
    for _ in range(runs):
        changes, names = [], []
        for at in range(n):
            bad = harmed and at % 10 == 0
            luck = dice.random()
            gain = 1.0 if luck < 0.15 else -1.0 if luck < 0.2 else 0.0
            changes.append((-1.0 if luck < 0.6 else 0.0) if bad else gain)
            names.append([str(at % 10)])
        order = dice.sample(range(n), n)
        paired = [outcome(at, changes[at]) for at in order]
        guard = group_changes(paired, [names[at] for at in order], allowed=0.05)
        mine += ours(paired).better and not any(group.harmed for group in guard)
        for rule, adopts in OTHERS.items():
            theirs[rule] += adopts([changes[at] for at in order])
    return [name, percent(mine, runs), *(percent(count, runs) for count in theirs.values())]


GROUPS = Table(
    ["truth", "ours", *OTHERS],
    [("one of ten classes 60% -> 0, the others +10", True), ("all classes +10", False)],
    groups,
)


def models(runs: int, seed: int, name: str, people: int, n: int = 250) -> list[object]:
    """A model labels all items and is wrong on 20%; the rule copies its errors, truly helps, or does nothing."""
    dice = random.Random(f"{seed} {name} {people}")
    mine, theirs = 0, dict.fromkeys(OTHERS, 0)
    for _ in range(runs):
        twice = []
        for at in range(n):
            luck = dice.random()
            if name == COPIES:
                model, truth = (1.0, -1.0) if luck < 0.12 else (1.0, 1.0) if luck < 0.18 else (0.0, 0.0)
            else:
                fixed = 0.15 if name == HELPS else 0.1
                truth = 1.0 if luck < fixed else -1.0 if luck < 0.2 else 0.0
                model = truth if dice.random() < 0.8 else -truth
            by_person = outcome(at, truth) if at < people else None
            twice.append(TwiceLabelled(by_model=outcome(at, model), by_person=by_person))
        dice.shuffle(twice)
        for rule, adopts in OTHERS.items():
            theirs[rule] += adopts([item.by_model.difference for item in twice])
        mine += replay(n, lambda upto, twice=twice: _by_people(twice[:upto], people)).better  # type: ignore[misc]
    claim = "right, corrected by people" if people else "agreement with the model"
    return [name, people, claim, percent(mine, runs), *(percent(count, runs) for count in theirs.values())]


def _by_people(twice: list[TwiceLabelled], people: int) -> PairedSample:
    if not people:
        return PairedSample(outcomes=tuple(item.by_model for item in twice))
    return PairedSample(outcomes=corrected(twice) if any(item.by_person for item in twice) else ())


COPIES, HELPS, NOTHING = "agreement +18, truth -6", "agreement +6, truth +10", "agreement 0, truth 0"
MODELS = Table(
    ["truth", "labels by people", "claim", "ours adopts", *OTHERS],
    [(name, people) for name in (COPIES, HELPS, NOTHING) for people in (0, 100, 150, 250)],
    models,
)
