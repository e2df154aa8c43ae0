"""The weak model's mistakes to learn from, and some successes for contrast. Does not explain them.

What the incumbent replied in recorded exchanges costs nothing and comes first; the rest of the induction items are
answered in small batches, only until there are mistakes enough.
"""

from collections.abc import Mapping, Sequence

from gateway.domain import RuleSet, Value
from gateway.settings import Grader
from optimizer.items import Item, Mistake, Seen
from optimizer.trials.evaluate import Bench, Model

ENOUGH = 16
"""Mistakes that one cycle learns from: four groups of four."""
_BATCH = 10  # items answered between two looks at whether there are enough


class Sample(Value, frozen=True):
    """Mistakes and successes among ``looked_at`` items."""

    mistakes: tuple[Mistake, ...]
    successes: tuple[Mistake, ...]
    """Right replies, in the shape of mistakes."""
    looked_at: int


async def sample(
    bench: Bench,
    weak: Model,
    grader: Grader,
    items: Sequence[Item],
    *,
    incumbent: RuleSet | None,
    seen: Mapping[str, Seen],
    unlabelled: Sequence[Mistake],
) -> Sample:
    """Collect at most ``ENOUGH`` mistakes from recorded replies and from the weak model under the incumbent.

    Mistakes without an expected answer (``unlabelled``) fill up what is missing. Raises what ``Bench.trials`` raises.
    """
    replies = [(item, seen[item.id].reply, seen[item.id].correct) for item in items if item.id in seen]
    waiting = [item for item in items if item.id not in seen]
    while waiting and sum(not correct for _, _, correct in replies) < ENOUGH:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        trials = await bench.trials(weak, batch, incumbent, grader, stage="sample")
        replies += [(trial.item, trial.answer.text, trial.correct) for trial in trials]
    mistakes = [_shown(item, reply) for item, reply, correct in replies if not correct]
    return Sample(
        mistakes=tuple([*mistakes, *unlabelled][:ENOUGH]),
        successes=tuple(_shown(item, reply) for item, reply, correct in replies if correct)[:ENOUGH],
        looked_at=len(replies) + len(unlabelled),
    )


def _shown(item: Item, reply: str) -> Mistake:
    return Mistake(request=item.request, reply=reply, expected=item.expected)
