"""Is what the gate is shown true? Labelling regimes, clusters, promises and accounts, by seeded simulation; no model.

``python -m tests.bench.distillation.truth [regimes|clusters|coverage|accounts|groups|models] --runs 400`` prints one
table in Markdown each. The rules beside ours: the gate of commit 327abc6 (``previous_gate``), "mean went up", GEPA's
minibatch of 3 with the mean behind it, and CAPO's paired t-test at 0.2.
"""

import math
import random
import statistics
from collections.abc import Callable, Sequence

import click

from optimizer.statistics.adjusted_gain import AdjustedGain, LookState, adjusted_gain, state_of
from optimizer.statistics.alpha_spending import PROMISING, STAGES, ScheduledTest, next_level, stage_level
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.group_guard import group_changes
from optimizer.statistics.label_weights import Origin, label_weights
from optimizer.statistics.paired_test import MINIMUM, Gate, paired_interval
from optimizer.statistics.prediction_powered import TwiceLabelled, corrected
from tests.bench.distillation import previous_gate

Rule = Callable[[Sequence[float]], bool]


def mean_went_up(differences: Sequence[float]) -> bool:
    return sum(differences) > 0


def gepa(differences: Sequence[float]) -> bool:
    return sum(differences[:3]) > 0 and sum(differences) > 0


def capo(differences: Sequence[float]) -> bool:
    """Paired t-test at 0.2, one-sided, on all items."""
    if len(differences) < 2:
        return False
    spread = statistics.stdev(differences)
    mean = statistics.fmean(differences)
    return mean > 0 and (spread == 0 or mean / spread * math.sqrt(len(differences)) > 0.8416)


OTHERS: dict[str, Rule] = {
    "327abc6": previous_gate.adopts, "mean went up": mean_went_up, "GEPA": gepa, "CAPO": capo,
}  # fmt: skip


def outcome(place: int | str, change: float, weight: float = 1.0) -> PairedOutcome:
    return PairedOutcome(cluster=str(place), before=float(change < 0), after=float(change > 0), weight=weight)


def ours(
    outcomes: Sequence[PairedOutcome], *, level: float = 0.05, begun: int = 0
) -> tuple[str, float, list[LookState]]:
    """The verdict, the last z and the looks of the gate on outcomes in their order."""
    gate, looks, sample = Gate(planned=len(outcomes), margin=0.05, level=level, begun=begun), list[LookState](), None
    for look, upto in enumerate(gate.looks(), start=1):
        sample = PairedSample(outcomes=tuple(outcomes[:upto]))
        held_to = gate.needed(look), gate.futile_below(look)
        looks.append(state_of(sample, needed=held_to[0], level=level, futile_below=held_to[1]))
        finding = gate.judge(look, sample)
        if finding is not None:
            return finding.verdict if look == 4 or finding.verdict == "better" else "over", sample.z, looks
    raise AssertionError("the last look has a finding")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    click.echo("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        click.echo("| " + " | ".join(map(str, row)) + " |")


def percent(count: float, runs: int) -> str:
    return f"{100 * count / max(1, runs):.1f}"


# Shares of wrong and of right replies that users label, and whether they give the right answer.
REGIMES: dict[str, tuple[float, float, bool]] = {
    "every reply": (1.0, 1.0, True),
    "half of the wrong, none of the right": (0.5, 0.0, True),
    "30% of the wrong, 3% of the right": (0.3, 0.03, True),
    "30% of the wrong, 10% of the right": (0.3, 0.1, True),
    "thumbs without corrections": (0.5, 0.5, False),
}


def regimes(runs: int, seed: int, n: int = 250) -> None:
    """Adopted in percent, incumbent right in 80%; of 250 audited items the queue labels none, 100, or all others."""
    rows = []
    for name, (of_wrong, of_right, answers) in REGIMES.items():
        for queue in (0, 100, n):
            for change in (0.0, -0.04, -0.12, 0.1):
                dice = random.Random(f"{seed} {name} {queue} {change}")
                mine = said = 0
                theirs = dict.fromkeys(OTHERS, 0)
                for _ in range(runs):
                    origins: list[Origin] = []
                    changes: list[float] = []
                    left = queue
                    for _place in range(n):
                        wrong = dice.random() < 0.2
                        # Both arms differ on a fifth of the items or more: fixed among wrong ones, broken among right.
                        fixed, broken = max(0.1, 0.1 + change / 2), max(0.1, 0.1 - change / 2)
                        fixed, broken = (0.15, 0.05) if change == 0.1 else (fixed, fixed - change)
                        moved = dice.random() < (fixed / 0.2 if wrong else broken / 0.8)
                        changes.append((1.0 if wrong else -1.0) if moved else 0.0)
                        unasked = dice.random() < (of_wrong if wrong else of_right) and (answers or not wrong)
                        asked = not unasked and left > 0
                        left -= asked
                        origins.append("unasked" if unasked else "asked" if asked else "none")
                    weighed = label_weights(origins)
                    labelled = [at for at, origin in enumerate(origins) if origin != "none"]
                    shuffled = dice.sample(labelled, len(labelled))
                    if weighed.problem or len(labelled) < MINIMUM:
                        said += 1
                    else:
                        mine += ours([outcome(at, changes[at], weighed.weights[at]) for at in shuffled])[0] == "better"
                    seen = [changes[at] for at in shuffled]
                    for rule, adopts in OTHERS.items():
                        theirs[rule] += adopts(seen)
                rows.append([name, queue, f"{100 * change:+.0f}", percent(mine, runs), percent(said, runs),
                             *(percent(count, runs) for count in theirs.values())])  # fmt: skip
    table(["users label", "queue labels", "truth", "ours", "ours refuses", *OTHERS], rows)


def clusters(runs: int, seed: int, n: int = 250) -> None:
    """Null changes adopted in percent; the copies of a cluster agree in the given share of cases."""
    rows = []
    for size in (1, 2, 5, 10, 20):
        for together in (0.4, 1.0):
            for differing in (0.2, 0.5):
                dice = random.Random(f"{seed} {size} {together} {differing}")
                mine = 0
                theirs = dict.fromkeys(OTHERS, 0)
                for _ in range(runs):
                    changes: list[tuple[int, float]] = []
                    while len(changes) < n:
                        shared = dice.random()
                        for _copy in range(min(size, n - len(changes))):
                            draw = shared if dice.random() < together else dice.random()
                            moved = 1.0 if draw < differing / 2 else -1.0 if draw < differing else 0.0
                            changes.append((len(changes) // size, moved))
                    mine += ours([outcome(cluster, change) for cluster, change in changes])[0] == "better"
                    for rule, adopts in OTHERS.items():
                        theirs[rule] += adopts([change for _, change in changes])
                rows.append([size, f"{together:.0%}", f"{differing:.0%}", percent(mine, runs),
                             *(percent(count, runs) for count in theirs.values())])  # fmt: skip
    table(["cluster", "alike", "pairs that differ", "ours", *OTHERS], rows)


def promised(outcomes: Sequence[PairedOutcome]) -> tuple[AdjustedGain, PairedSample] | None:
    verdict, _, looks = ours(outcomes)
    if verdict != "better":
        return None
    gate = Gate(planned=len(outcomes), margin=0.05)
    later = [
        LookState(weight=gate.looks()[place], total=0.0, squares=0.0, flips=0, clusters=0,
                  needed=gate.needed(place + 1), level=gate.level, futile_below=gate.futile_below(place + 1))
        for place in range(len(looks), 4)
    ]  # fmt: skip
    return adjusted_gain(looks, later), PairedSample(outcomes=tuple(outcomes[: gate.looks()[len(looks) - 1]]))


def coverage(runs: int, seed: int) -> None:
    """How often the interval of a published gain holds the truth; ``runs`` published gains a cell, or 20,000 tries."""
    rows = []
    for differing in (0.12, 0.2, 0.4):
        for n in (50, 100, 250):
            for change in (0.0, 0.02, 0.05, 0.1, 0.15):
                dice = random.Random(f"{seed} {differing} {n} {change}")
                share = max(differing, change)
                fixed, broken = (share + change) / 2, (share - change) / 2
                kept = raw = tries = count = 0
                measured = gain = 0.0
                while count < runs and tries < 20_000:
                    tries += 1
                    draws = [dice.random() for _ in range(n)]
                    moved = [1.0 if draw < fixed else -1.0 if draw > 1 - broken else 0.0 for draw in draws]
                    if (result := promised([outcome(at, value) for at, value in enumerate(moved)])) is None:
                        continue
                    adjusted, sample = result
                    count += 1
                    kept += adjusted.interval[0] <= change <= adjusted.interval[1]
                    low, high = paired_interval(sample.pairs)
                    raw += low <= change <= high
                    measured, gain = measured + sample.change, gain + adjusted.gain
                rows.append([f"{differing:.0%}", n, f"{100 * change:+.0f}", percent(count, tries), count,
                             percent(kept, count), percent(raw, count), f"{100 * measured / max(1, count):+.1f}",
                             f"{100 * gain / max(1, count):+.1f}"])  # fmt: skip
    head = [
        "pairs that differ",
        "n",
        "truth",
        "published",
        "cases",
        "held: adjusted",
        "held: raw",
        "measured",
        "promised",
    ]
    table(head, rows)


def scheduled(dice: random.Random, n: int, useful: float, *, tests: int = 10) -> tuple[bool, int]:
    """Whether a gain of 10 points was found within so many scheduled tests, and how many useless ones were adopted."""
    made: list[ScheduledTest] = []
    useless, helps, level, stage = 0, False, 0.0, 0
    items: list[PairedOutcome] = []
    for _ in range(tests):
        if not items:
            helps, level, stage = dice.random() < useful, next_level("task", made), 0
        fixed, broken = (0.15, 0.05) if helps else (0.1, 0.1)
        begun = len(items)
        draws = [dice.random() for _ in range(n)]
        moved = [1.0 if draw < fixed else -1.0 if draw > 1 - broken else 0.0 for draw in draws]
        items += [outcome(begun + at, value) for at, value in enumerate(moved)]
        taken = stage_level(level, stage)
        verdict, z, _ = ours(items, level=taken, begun=begun)
        made.append(ScheduledTest(task="task", level=taken, adopted=verdict == "better", begins=stage == 0))
        if verdict == "better":
            if helps:
                return True, useless
            useless, items = useless + 1, []
        elif verdict in ("cannot tell", "non-inferior") and z >= PROMISING and stage + 1 < len(STAGES):
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
        fixed, broken = (0.15, 0.05) if helps else (0.1, 0.1)
        draws = [dice.random() for _ in range(n)]
        adopted = turn >= others and previous_gate.adopts(
            [1.0 if draw < fixed else -1.0 if draw > 1 - broken else 0.0 for draw in draws], level=level
        )
        if adopted and helps:
            return True, useless
        useless += adopted
        account, since = (account + 0.1, 1) if adopted else (max(0.0, account - level / (1 - level)), since + 1)
    return False, useless


def accounts(runs: int, seed: int) -> None:
    """A true +10 found within 10 scheduled tests; half of the candidates are null, 20% of the pairs differ."""
    rows = []
    for n in (50, 100, 200):
        dice = random.Random(f"{seed} {n}")
        mine = [scheduled(dice, n, 0.5) for _ in range(runs)]
        nulls = [scheduled(dice, n, 0.0, tests=40) for _ in range(runs)]
        before = [scheduled_before(dice, n, 0.5) for _ in range(runs)]
        busy = [scheduled_before(dice, n, 0.5, others=20) for _ in range(runs)]
        rows.append([n, *(percent(sum(hit for hit, _ in some), runs) for some in (mine, before, busy)),
                     percent(sum(useless > 0 for _, useless in nulls), runs)])  # fmt: skip
    head = [
        "new items a test",
        "ours",
        "327abc6",
        "327abc6 after 20 tests of other tasks",
        "ours: any of 40 nulls adopted",
    ]
    table(head, rows)


def groups(runs: int, seed: int, n: int = 200) -> None:
    """Adopted in percent: one of ten classes falls from 60% to 0 while the total rises; and a gain for all classes."""
    rows = []
    for name, harmed in (("one of ten classes 60% -> 0, the others +10", True), ("all classes +10", False)):
        dice = random.Random(f"{seed} {name}")
        mine = before = 0
        for _ in range(runs):
            changes, names = [], []
            for at in range(n):
                bad = harmed and at % 10 == 0
                draw = dice.random()
                gain = 1.0 if draw < 0.15 else -1.0 if draw < 0.2 else 0.0
                changes.append((-1.0 if draw < 0.6 else 0.0) if bad else gain)
                names.append([str(at % 10)])
            order = dice.sample(range(n), n)
            paired = [outcome(at, changes[at]) for at in order]
            better = ours(paired)[0] == "better"
            guard = group_changes(paired, [names[at] for at in order], allowed=0.05)
            mine += better and not any(group.harmed for group in guard)
            before += previous_gate.adopts([changes[at] for at in order])
        rows.append([name, percent(mine, runs), percent(before, runs)])
    table(["truth", "ours", "327abc6"], rows)


def models(runs: int, seed: int, n: int = 250) -> None:
    """A model labels all items and is wrong on 20%; the rule copies its errors, or truly helps."""
    rows = []
    for name, copies in (("agreement +18, truth -6", True), ("agreement +6, truth +10", False)):
        for people in (0, 100, 150):
            dice = random.Random(f"{seed} {name} {people}")
            mine = before = 0
            for _ in range(runs):
                twice, seen = [], []
                for at in range(n):
                    draw = dice.random()
                    if copies:
                        model, truth = (1.0, -1.0) if draw < 0.12 else (1.0, 1.0) if draw < 0.18 else (0.0, 0.0)
                    else:
                        truth = 1.0 if draw < 0.15 else -1.0 if draw < 0.2 else 0.0
                        model = truth if dice.random() < 0.8 else -truth
                    asked = at < people
                    twice.append(
                        TwiceLabelled(by_model=outcome(at, model), by_person=outcome(at, truth) if asked else None)
                    )
                    seen.append(model)
                dice.shuffle(twice)
                before += previous_gate.adopts(seen)
                if people:
                    sample = PairedSample(outcomes=corrected(twice))
                    mine += sample.z >= 1.74 and sample.p_better <= 0.05
                else:
                    mine += ours([item.by_model for item in twice])[0] == "better"
            claim = "right, corrected by people" if people else "agreement with the model"
            rows.append([name, people, claim, percent(mine, runs), percent(before, runs)])
    table(["truth", "labels by people", "claim", "ours adopts", "327abc6 adopts, says right"], rows)


TABLES = {
    "regimes": regimes,
    "clusters": clusters,
    "coverage": coverage,
    "accounts": accounts,
    "groups": groups,
    "models": models,
}


@click.command()
@click.argument("name", type=click.Choice(list(TABLES)))
@click.option("--runs", default=400, show_default=True, help="Runs a cell.")
@click.option("--seed", default=1, show_default=True)
def main(name: str, runs: int, seed: int) -> None:
    """Print one table."""
    click.echo(f"seed {seed}, {runs} runs a cell, percentages\n")
    TABLES[name](runs, seed)


if __name__ == "__main__":
    main()
