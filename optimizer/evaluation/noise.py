"""The A/A noise floor: how often the incumbent, asked twice, is right once and wrong once.

With a temperature in the requests, or with a judge, two equally good arms differ on many items, and a gain must stand
out from that. The floor is measured on selection items, and enters the smallest gain in reach of confirmation. It needs
no correction of the gate: chance differences go both ways, and the gate's test counts both.
"""

from collections.abc import Sequence

from gateway.domain import RuleSet, Value
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.dataset.recorded_request import read_request
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial
from optimizer.grading.graders import grader_for
from optimizer.statistics.paired_test import LEVEL, smallest_detectable, wilson

ITEMS = 20
"""Items on which the incumbent runs twice."""
DIFFERING = 0.2
"""Expected share of different pairs after a change of the rules, without any chance."""


class Noise(Value, frozen=True):
    """Two runs of one arm on the same items."""

    items: int
    differing: int
    """Items right in one run and wrong in the other."""
    interval: tuple[float, float]
    """95% interval of their share."""

    @property
    def rate(self) -> float:
        return self.differing / self.items


def is_random(items: Sequence[Item], grader: Grader) -> bool:
    """Decide whether a second answer to a question may be graded differently: at a temperature, or by a judge.

    Requests without a temperature are sent at 0.
    """
    return grader_for(grader).is_judged or any(_temperature(item) > 0 for item in items)


async def noise_floor(
    evaluator: Evaluator, weak: ModelClient, grader: Grader, first: Sequence[Trial], *, incumbent: RuleSet | None
) -> Noise:
    """Ask the incumbent a second time about the items of ``first``, at least one.

    Raises the errors of ``Evaluator.trials``.
    """

    async def ask_again(trial: Trial) -> Trial:
        answer = await evaluator.ask(weak, trial.item.request, incumbent, purpose="answer again")
        return await evaluator.graded(grader, trial.item, answer)

    shown = first[:ITEMS]
    second = await evaluator.each(ask_again, shown, stage="noise")
    differing = sum(before.correct != after.correct for before, after in zip(shown, second, strict=True))
    return Noise(items=len(shown), differing=differing, interval=wilson(differing, len(shown)))


def detectable(n: int, noise: Noise | None, *, level: float = LEVEL) -> float:
    """Return the smallest gain (0..1) in reach of ``n`` items at 80% power, with the noise of chance."""
    rate = noise.rate if noise is not None else 0.0
    return smallest_detectable(n, discordant=DIFFERING + (1 - DIFFERING) * rate, alpha=level)


def _temperature(item: Item) -> float:
    return read_request(item.request).sampling.temperature or 0.0
