"""The weak model's mistakes to learn from, and some successes for contrast: recent ones and older ones, of many
conversations. Does not explain them.

Recorded replies of the incumbent cost nothing and come first; the rest of the induction items are answered in small
batches, only until there are mistakes enough.
"""

from collections.abc import Mapping, Sequence

from gateway.domain import RuleSet, Value
from gateway.settings import Grader
from optimizer.dataset.items import Item, Mistake, RecordedReply
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.remarks import SILENCE, Remark, remark
from optimizer.dataset.sampling import cap_per_key, conversation_names, spread_over_time
from optimizer.evaluation.evaluator import Evaluator, ModelClient, Trial

ENOUGH = 16
"""The mistakes of one cycle: four groups of four."""
PER_CONVERSATION = 2
"""Mistakes, and successes, from one conversation at most."""
_BATCH = 10  # items answered between two looks at whether there are enough


class Sample(Value, frozen=True):
    """Mistakes and successes among ``looked_at`` items."""

    mistakes: tuple[Mistake, ...]
    successes: tuple[Mistake, ...]
    """Right replies, in the shape of mistakes."""
    looked_at: int


async def sample(
    evaluator: Evaluator,
    weak: ModelClient,
    grader: Grader,
    items: Sequence[Item],
    *,
    incumbent: RuleSet | None,
    seen: Mapping[str, RecordedReply],
    unlabelled: Sequence[Mistake],
) -> Sample:
    """Collect at most ``ENOUGH`` mistakes from recorded replies and from the weak model under the incumbent.

    Half of the recorded mistakes are the newest (``seen`` and ``unlabelled`` begin with them), the others are spread
    over the time before. Mistakes without an expected answer (``unlabelled``) fill the gap. An answer that could not be
    graded teaches nothing. Raises the errors of ``Evaluator.trials``.
    """
    known = {item.id: item for item in items}
    replies = [(known[key], past.reply, past.correct, past.remark) for key, past in seen.items() if key in known]
    waiting = [item for item in items if item.id not in seen]
    while waiting and sum(not correct for _, _, correct, _ in replies) < ENOUGH:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        trials = await evaluator.trials(weak, batch, incumbent, grader, stage="sample")
        replies += [
            (trial.item, trial.answer.text, trial.correct, _remark(trial, incumbent))
            for trial in trials
            if not trial.ungraded
        ]
    mistakes = [_shown(item, reply, note) for item, reply, correct, note in replies if not correct]
    return Sample(
        mistakes=tuple(_chosen(mistakes, unlabelled)),
        successes=tuple(_chosen([_shown(item, reply) for item, reply, correct, _ in replies if correct])),
        looked_at=len(replies) + len(unlabelled),
    )


def _remark(trial: Trial, incumbent: RuleSet | None) -> Remark:
    """The grader's words, and the form that led to the reply: a list of decisions is mended by them only."""
    filled = incumbent is not None and incumbent.worksheet is not None and trial.answer.hidden
    return remark(check=trial.remark, form=trial.answer.hidden[0] if filled else "")


def _chosen(first: Sequence[Mistake], then: Sequence[Mistake] = ()) -> list[Mistake]:
    """The mistakes to learn from, newest first; ``then`` fills the gap."""
    both = [*first, *then]
    where = conversation_names([read_request(mistake.request) for mistake in both])
    marked = cap_per_key(list(enumerate(both)), where, PER_CONVERSATION)
    chosen = spread_over_time([mistake for place, mistake in marked if place < len(first)], ENOUGH)
    return chosen + spread_over_time(
        [mistake for place, mistake in marked if place >= len(first)], ENOUGH - len(chosen)
    )


def _shown(item: Item, reply: str, note: Remark = SILENCE) -> Mistake:
    return Mistake(request=item.request, reply=reply, expected=item.expected, remark=note)
