"""Habits of labelling: who labels which replies, and what the gate then believes.

Of 250 audited items users label what they like; the label queue labels none, 40, 100 or all others, at random. Every
fifth item is of a loud user, whom the change helps more than it helps the others.
"""

import random
from typing import NamedTuple

from optimizer.statistics.label_weights import Origin, label_weights
from optimizer.statistics.paired_test import MINIMUM
from tests.bench.distillation.replay import OTHERS, Table, ours, outcome, percent

ITEMS = 250


class Habit(NamedTuple):
    """Shares of the wrong and of the right replies that users label; ``answers`` if they give the right answer."""

    of_wrong: float
    of_right: float
    answers: bool = True
    loud_only: bool = False


HABITS: dict[str, Habit] = {
    "every reply": Habit(1.0, 1.0),
    "5%, whatever the outcome": Habit(0.05, 0.05),
    "half of the wrong, none of the right": Habit(0.5, 0.0),
    "30% of the wrong, 3% of the right": Habit(0.3, 0.03),
    "30% of the wrong, 10% of the right": Habit(0.3, 0.1),
    "thumbs without corrections": Habit(0.5, 0.5, answers=False),
    "loud users, all of their wrong": Habit(1.0, 0.0, loud_only=True),
    "loud users, every reply": Habit(1.0, 1.0, loud_only=True),
}
QUEUES = (0, 40, 100, ITEMS)
CHANGES = (0.0, -0.02, -0.04, -0.12, 0.1)


class Drawn(NamedTuple):
    """The audited items: their changes, and how each came by its label."""

    changes: list[float]
    origins: list[Origin]


def draw(dice: random.Random, habit: Habit, queue: int, change: float, n: int = ITEMS) -> Drawn:
    """Draw audited items of an incumbent that is right in 80%; a fifth of the pairs differ, or more."""
    fixed = 0.15 if change > 0 else 0.1
    broken, left, drawn = fixed - change, queue, Drawn([], [])
    for _ in range(n):
        loud, wrong = dice.random() < 0.2, dice.random() < 0.2
        moved = dice.random() < (fixed / 0.2 * (1.3 if loud else 0.925) if wrong else broken / 0.8)
        share = 0.0 if habit.loud_only and not loud else habit.of_wrong if wrong else habit.of_right
        unasked = dice.random() < share and (habit.answers or not wrong)
        asked = not unasked and left > 0
        left -= asked
        drawn.changes.append((1.0 if wrong else -1.0) if moved else 0.0)
        drawn.origins.append("unasked" if unasked else "asked" if asked else "none")
    return drawn


def cell(runs: int, seed: int, name: str, queue: int, change: float) -> list[object]:
    """Adopted and refused, in percent."""
    dice = random.Random(f"{seed} {name} {queue} {change}")
    mine = said = 0
    theirs = dict.fromkeys(OTHERS, 0)
    for _ in range(runs):
        drawn = draw(dice, HABITS[name], queue, change)
        weighed = label_weights(drawn.origins)
        labelled = [at for at, origin in enumerate(drawn.origins) if origin != "none"]
        dice.shuffle(labelled)
        if weighed.problem or len(labelled) < MINIMUM:
            said += 1
        else:
            mine += ours([outcome(at, drawn.changes[at], weighed.weights[at]) for at in labelled]).better
        seen = [drawn.changes[at] for at in labelled]
        for rule, adopts in OTHERS.items():
            theirs[rule] += adopts(seen)
    return [name, queue, f"{100 * change:+.0f}", percent(mine, runs), percent(said, runs),
            *(percent(count, runs) for count in theirs.values())]  # fmt: skip


REGIMES = Table(
    ["users label", "queue labels", "truth", "ours", "ours refuses", *OTHERS],
    [(name, queue, change) for name in HABITS for queue in QUEUES for change in CHANGES],
    cell,
)


def skipping(runs: int, seed: int, n: int, loss: float, passed: float, truth: float = 0.0) -> list[object]:
    """A change that breaks ``loss`` more of the hard third than it is worth; whoever labels skips hard items."""
    dice = random.Random(f"{seed} {n} {loss} {passed} {truth}")
    mine = blind = refused = 0
    for _ in range(runs):
        changes: list[float] = []
        origins: list[Origin] = []
        for _place in range(n):
            hard = dice.random() < 0.3
            net = truth - loss if hard else truth + loss * 3 / 7
            base = 0.15 if hard else 0.1
            luck = dice.random()
            changes.append(1.0 if luck < base + net / 2 else -1.0 if luck < 2 * base else 0.0)
            origins.append("none" if hard and dice.random() < passed / 0.3 else "asked")
        weighed = label_weights(origins)
        labelled = [at for at, origin in enumerate(origins) if origin == "asked"]
        outcomes = [outcome(at, changes[at], weighed.stands_for) for at in labelled]
        blind += ours(outcomes).better
        if weighed.problem:
            refused += 1
        else:
            mine += ours(outcomes, passed_over=weighed.skipped * weighed.stands_for).better
    return [n, f"{100 * truth:+.0f}", f"{100 * loss:.0f} points", f"{passed:.0%}",
            *(percent(count, runs) for count in (mine, refused, blind))]  # fmt: skip


SKIPPING = Table(
    [
        "items",
        "truth",
        "more lost on the hard third",
        "passed over",
        "ours",
        "ours refuses",
        "if nobody counted those passed over",
    ],
    [
        *((n, loss, passed) for n in (100, 250) for loss in (0.1, 0.3) for passed in (0.0, 0.05, 0.1, 0.2)),
        *((250, 0.0, passed, 0.1) for passed in (0.0, 0.02, 0.05, 0.1)),
    ],
    skipping,
)
