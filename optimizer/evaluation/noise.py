"""The A/A noise floor: how often the incumbent, asked twice, is right once and wrong once.

Where a request asks for a temperature, or a judge grades, two equally good arms differ on many items, and a gain must
stand out from that. The floor is measured on selection items, and what confirmation can show is said with it in mind.
Decides nothing, and needs no correction of the gate: chance differences go both ways, and its test counts both.
"""

from collections.abc import Sequence

import msgspec

from gateway.domain import RuleSet, Value
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial
from optimizer.grading.graders import grader_for
from optimizer.statistics.paired_test import smallest_detectable, wilson

ITEMS = 20
"""Items on which the incumbent runs twice."""
DIFFERING = 0.2
"""Share of pairs that a change of the rules is expected to make differ where nothing is left to chance."""


class Noise(Value, frozen=True):
    """Two runs of one arm on the same items."""

    items: int
    differing: int
    """Items that one run got right and the other wrong."""
    interval: tuple[float, float]
    """95% interval of their share."""

    @property
    def rate(self) -> float:
        return self.differing / self.items


def is_random(items: Sequence[Item], grader: Grader) -> bool:
    """Whether the same question may be graded differently twice: a temperature above 0, or a judge.

    Requests that name no temperature are asked at 0.
    """
    return grader_for(grader).is_judged or any(_temperature(item) > 0 for item in items)


async def noise_floor(
    evaluator: Evaluator, weak: ModelClient, grader: Grader, first: Sequence[Trial], *, incumbent: RuleSet | None
) -> Noise:
    """Ask the incumbent a second time about the items of ``first``, at least one.

    Raises the errors of ``Evaluator.trials``.
    """

    async def again(trial: Trial) -> Trial:
        answer = await evaluator.ask(weak, trial.item.request, incumbent, purpose="answer again")
        return await evaluator.graded(grader, trial.item, answer)

    shown = first[:ITEMS]
    second = await evaluator.each(again, shown, stage="noise")
    differing = sum(one.correct != other.correct for one, other in zip(shown, second, strict=True))
    return Noise(items=len(shown), differing=differing, interval=wilson(differing, len(shown)))


def detectable(n: int, noise: Noise | None) -> float:
    """The smallest gain (0..1) that ``n`` items show with 80% power when chance alone makes pairs differ as well."""
    rate = noise.rate if noise is not None else 0.0
    return smallest_detectable(n, discordant=DIFFERING + (1 - DIFFERING) * rate)


def _temperature(item: Item) -> float:
    try:
        return msgspec.json.decode(item.request, type=_Sampling).temperature or 0.0
    except msgspec.ValidationError:
        return 0.0


class _Sampling(Value, frozen=True):
    temperature: float | None = None
