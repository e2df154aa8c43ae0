"""Prediction-powered inference: a model labels many items, people label some of them, and only people decide.

With a model's labels alone, a gain is a gain in agreement with the model: a rule that copies its errors gains, too. The
items that people labelled as well say how far the model's view of a change is off. Its mean is added, so the corrected
change is unbiased whatever the model's errors are (Angelopoulos et al., Science 382 (2023) 669; one weight for the
model's part, as in PPI++, arXiv 2311.01453). Good labels of a model narrow the interval, useless ones only cost.

An item labelled by both becomes three outcomes in its cluster: the model's as ever, the person's for all the items that
a person's label stands for, and the model's once more with that weight below 0. Asks nobody.
"""

from collections.abc import Sequence

import msgspec

from gateway.domain import Value
from optimizer.statistics.cluster_sums import PairedOutcome

LEAST_PEOPLE = 100
"""Labels by people without which a model's labels are not corrected, only named."""


class TwiceLabelled(Value, frozen=True):
    """One item, graded by a model's label and, if there is one, by a person's."""

    by_model: PairedOutcome
    by_person: PairedOutcome | None = None


def corrected(items: Sequence[TwiceLabelled]) -> tuple[PairedOutcome, ...]:
    """Return outcomes whose sums are unbiased for people's labels; people must have labelled a random part.

    Raises ``ValueError`` without a label by a person.
    """
    both = [item for item in items if item.by_person is not None]
    if not both:
        raise ValueError("no item is labelled by a person")
    stands_for, trust = len(items) / len(both), _trust(both)
    outcomes: list[PairedOutcome] = []
    for item in items:
        if trust:
            outcomes.append(_weighted(item.by_model, trust))
        if item.by_person is not None:
            outcomes.append(_weighted(item.by_person, stands_for))
            if trust:
                outcomes.append(_weighted(item.by_model, -trust * stands_for))
    return tuple(outcomes)


def _trust(both: Sequence[TwiceLabelled]) -> float:
    """The weight of the model's part with the narrowest interval, 0..1: how well its differences follow people's."""
    pairs = [(item.by_model.difference, item.by_person.difference) for item in both if item.by_person is not None]
    mean_model, mean_person = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    joint = sum((model - mean_model) * (person - mean_person) for model, person in pairs)
    alone = sum((model - mean_model) ** 2 for model, _ in pairs)
    return max(0.0, min(1.0, joint / alone)) if alone else 0.0


def _weighted(outcome: PairedOutcome, factor: float) -> PairedOutcome:
    return msgspec.structs.replace(outcome, weight=outcome.weight * factor)
