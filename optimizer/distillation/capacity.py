"""The capacity of a weak model: its number of rules and of examples before it gets worse.

Small models drown in instructions. Idle rules, about things outside of all questions, are put before questions with a
right answer: the model carries as many as leave these answers right. Examples are the task's own; the best number is
the one with the most right answers. Measured once per model, kept in the store, and a bound for every later cycle.
Decides nothing about a rule set.
"""

import hashlib
from collections.abc import Sequence

from gateway.domain import Rule, RuleSet, Value
from gateway.settings import Grader
from gateway.store.notes import Note
from optimizer.dataset.items import BadData, Item
from optimizer.dataset.recorded_request import read_request
from optimizer.distillation.confirmation import in_hash_order
from optimizer.distillation.induction.solved import solved_examples
from optimizer.evaluation.evaluator import Evaluator, ModelClient

RULES = (4, 8, 16, 32)
"""Numbers of idle rules to try, until too many answers go wrong."""
EXAMPLES = (1, 2, 4, 8, 16)
"""Numbers of nearest examples to try."""
KEPT = 0.85
"""Least share of right answers to stay right."""
LEAST = 10
"""Least number of right answers, and of examples, for a measurement."""
MOST_ITEMS = 60
"""Items to measure on; the others are examples."""
_THINGS = (
    "a lighthouse", "a glacier", "an accordion", "a falconer", "a sundial", "a harpoon", "a beehive", "an abacus",
    "a cathedral", "a trombone", "an igloo", "a parachute", "a volcano", "a windmill", "a submarine", "a telescope",
    "a drawbridge", "a catapult", "a gondola", "a monocle", "a zeppelin", "a chandelier", "a hammock", "a boomerang",
    "an anvil", "a kaleidoscope", "a scarecrow", "a typewriter", "a weathervane", "a xylophone", "a yurt",
    "a metronome", "a pagoda", "a periscope", "a rickshaw", "a samovar", "a sextant", "a tambourine", "a trapeze",
    "a wigwam",
)  # fmt: skip


class Carried(Value, frozen=True):
    """Answers with so many rules or examples."""

    count: int
    accuracy: float
    """For rules: of the items with a right answer without any."""
    n: int


class Capacity(Value, frozen=True):
    """The capacity of a model; ``None`` for an unmeasured part."""

    model: str
    """Its configured name at that time."""
    rules: int | None
    examples: int | None
    tried_rules: tuple[Carried, ...] = ()
    tried_examples: tuple[Carried, ...] = ()
    """The first is without examples."""

    @property
    def note(self) -> str:
        """The capacity in plain words."""
        rules = "too few right answers to count rules" if self.rules is None else f"it carries {self.rules} rules"
        examples = "too few examples to count them"
        if self.examples is not None:
            examples = f"it is best with {self.examples} examples" if self.examples else "examples make it no better"
        return f"{self.model}: {rules}, {examples}"


CAPACITY = Note("capacity", Capacity)


def place_of(model: ModelClient) -> str:
    """Return the place of a model's note: another model behind the name has another place."""
    return hashlib.sha256(model.identity.encode()).hexdigest()[:16]


async def measure_capacity(
    evaluator: Evaluator, weak: ModelClient, grader: Grader, task: str, items: Sequence[Item]
) -> Capacity:
    """Measure a model on a task's labelled items. Raises ``BadData`` for too few, and the errors of ``trials``."""
    ordered = in_hash_order(items)
    measured, rest = ordered[: min(MOST_ITEMS, len(ordered) // 2)], ordered[min(MOST_ITEMS, len(ordered) // 2) :]
    if len(measured) < LEAST:
        raise BadData(f"{len(ordered)} examples are too few to measure a capacity: {2 * LEAST} are needed")
    base = await evaluator.trials(weak, measured, None, grader, stage="without")
    right = [trial.item for trial in base if trial.correct]
    tried_rules = []
    for count in RULES if len(right) >= LEAST else ():
        rules = _idle_rules(count, [read_request(item.request).transcript for item in measured])
        trials = await evaluator.trials(weak, right, RuleSet(task=task, rules=rules), grader, stage=f"{count} rules")
        tried_rules.append(_carried(count, [trial.correct for trial in trials]))
        if tried_rules[-1].accuracy < KEPT:
            break
    examples = solved_examples(rest)
    tried_examples = [_carried(0, [trial.correct for trial in base])] if len(examples) >= LEAST else []
    for count in EXAMPLES if len(examples) >= LEAST else ():
        rule_set = RuleSet(task=task, examples=examples, nearest=count)
        trials = await evaluator.trials(weak, measured, rule_set, grader, stage=f"{count} examples")
        tried_examples.append(_carried(count, [trial.correct for trial in trials]))
    held = [entry.count for entry in tried_rules if entry.accuracy >= KEPT]
    best = max(tried_examples, key=lambda entry: (entry.accuracy, -entry.count), default=None)
    return Capacity(
        model=weak.name,
        rules=max(held, default=RULES[0] // 2) if tried_rules else None,
        examples=best.count if best is not None else None,
        tried_rules=tuple(tried_rules),
        tried_examples=tuple(tried_examples),
    )


def nearest_examples(capacity: Capacity | None) -> int | None:
    """Return the best number of nearest examples for the model; ``None`` without a measurement."""
    return capacity.examples or None if capacity is not None else None


def most_rules(setting: int, capacity: Capacity | None) -> int:
    """Return the largest number of rules of a candidate: the smaller of setting and capacity."""
    return setting if capacity is None or capacity.rules is None else min(setting, capacity.rules)


def _carried(count: int, right: Sequence[bool]) -> Carried:
    return Carried(count=count, accuracy=sum(right) / len(right), n=len(right))


def _idle_rules(count: int, texts: Sequence[str]) -> tuple[Rule, ...]:
    """Return rules without any concern for the texts."""
    named = " ".join(texts).casefold()
    things = [thing for thing in _THINGS if thing.split()[-1] not in named]
    return tuple(Rule(text=f"If the question is about {thing}, name its colour first.") for thing in things[:count])
