"""Two-phase sampling: the weights of an audit sample whose labels came in two ways, or the reason against any.

Users label what they like to label: mostly wrong replies. So audited items with a label of their users' own accord are
one stratum, complete as it is. From the others, the second stratum, a part is labelled at random, by the label queue or
by a model, and each of them stands for as many as were left without a label (Neyman, JASA 33 (1938) 101). If none of
the second stratum has a label, the labels were chosen by outcome, and nothing can be shown by them.

An item that the queue asked about and nobody answered is no item left to chance: people pass over what they find hard.
The others do not stand for it, and the test counts it as a loss (``cluster_sums``), so passing over hides none.
"""

import math
from collections.abc import Sequence
from typing import Literal

from gateway.domain import Value

Origin = Literal["unasked", "asked", "drawn", "none", "later"]
"""Where a label came from: of a user's own accord; from the queue, in its order; from a model, for a share of the
traffic that a draw decides; not at all. ``later``: not at all, and the queue has not come to the item yet."""

LEAST_ASKED = 10
"""Labels asked for, fewer only if all items without a label of their users' own are labelled."""
WANTED_ASKED = 40
"""Labels to ask for in a sentence: with them a second stratum of 200 items widens the interval by about half."""
LEAST_ANSWERED = 0.8
"""Share of the items asked about, from the first to the last labelled, that must have a label: if more are losses, no
gain can be shown."""


class LabelWeights(Value, frozen=True):
    """The weight of each item of an audit sample, in its order; 0 for an item without a label."""

    weights: tuple[float, ...]
    unasked: int
    """Items labelled of their users' own accord."""
    asked: int
    """Items labelled because they were asked about."""
    missing: int
    """Items without a label."""
    skipped: int = 0
    """Items between labelled ones of the queue, passed over without a label."""
    stands_for: float = 0.0
    """The weight of each label that was asked for, and of each item passed over."""
    problem: str = ""
    """Why nothing can be shown by these labels; empty if something can."""
    ask: int = 0
    """Items to label so that something can be shown."""

    @property
    def worth(self) -> float:
        """Independent items of equal weight with the sample's precision (Kish, Survey Sampling, 1965)."""
        squares = math.fsum(weight * weight for weight in self.weights)
        return math.fsum(self.weights) ** 2 / squares if squares else 0.0


def label_weights(origins: Sequence[Origin]) -> LabelWeights:
    """Weigh the items of an audit sample, which come in the order in which the queue asks about them."""
    second = [place for place, origin in enumerate(origins) if origin != "unasked"]
    queue = [place for place in second if origins[place] == "asked"]
    asked = [place for place in second if origins[place] in ("asked", "drawn")]
    unasked, missing = len(origins) - len(second), len(second) - len(asked)
    reached = [place for place in second if queue and place <= queue[-1] and origins[place] != "later"]
    skipped = sum(origins[place] == "none" for place in reached)
    problem, ask = "", 0
    if missing and len(asked) < LEAST_ASKED:
        ask = min(WANTED_ASKED - len(asked), missing)
        problem = "labels were chosen by outcome: nothing can be shown" if unasked else "there are too few labels"
    elif len(reached) - skipped < LEAST_ANSWERED * len(reached):
        ask = skipped
        problem = f"of {len(reached)} items asked about, {skipped} were passed over: what they hide, nobody knows"
    share = len(second) / (len(asked) + skipped) if asked else 0.0
    values = {"unasked": 1.0, "asked": share, "drawn": share, "none": 0.0, "later": 0.0}
    return LabelWeights(
        weights=tuple(values[origin] for origin in origins),
        unasked=unasked,
        asked=len(asked),
        missing=missing,
        skipped=skipped,
        stands_for=share,
        problem=problem,
        ask=ask,
    )
