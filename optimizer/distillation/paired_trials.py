"""From trials of two arms to the sample that the gate judges: scores, clusters, weights, and whose label counts.

A person's label and a model's on one item are two views of one change. If people labelled enough of a sample that a
model labelled, their view corrects the model's (``prediction_powered``); an item without a model's label, or with one
of a user's own accord, counts by the person's. If they labelled less of it, the model's label counts on every item
alike, and the result is called agreement. Decides nothing.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.proof import LabelSources
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.distillation.audit_sample import claim_of
from optimizer.evaluation.evaluator import Evaluator, Trial
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.prediction_powered import LEAST_PEOPLE, TwiceLabelled, corrected

Basis = Literal["own", "corrected", "model"]
"""The labels that count: each item's own, a model's corrected by people's, or a model's alone."""


def basis_of(items: Sequence[Item]) -> Basis:
    """Decide by all items of a test which labels count in it."""
    by_model, by_both = sum(bool(item.labelled_by) for item in items), sum(map(_by_both, items))
    if by_model and by_both >= LEAST_PEOPLE:
        return "corrected"
    return "model" if by_model > len(items) - by_model else "own"


def claim(items: Sequence[Item]) -> str:
    """Return the meaning of *right* in a test on items."""
    basis = basis_of(items)
    if basis == "corrected":
        people = sum(map(_by_both, items))
        return f"right by the labels of people ({people} of {len(items)} items; a model labelled the others)"
    return claim_of([_by_model(item) for item in items] if basis == "model" else items)


async def paired_sample(
    evaluator: Evaluator, grader: Grader, before: Sequence[Trial], after: Sequence[Trial], *, basis: Basis
) -> PairedSample:
    """Return the sample of two arms on the same items. Raises the errors of ``Evaluator.graded``."""
    own = plain_sample(before, after)
    if basis == "own":
        return own

    async def graded_by_model(trials: Sequence[Trial]) -> list[Trial]:
        return [
            trial if trial.item.model_label is None else
            await evaluator.graded(grader, _by_model(trial.item), trial.answer)
            for trial in trials
        ]  # fmt: skip

    seen = plain_sample(await graded_by_model(before), await graded_by_model(after))
    if basis == "model":
        return seen
    if not any(_by_both(trial.item) for trial in before):
        return PairedSample(outcomes=())
    of_people, twice = list[PairedOutcome](), list[TwiceLabelled]()
    for trial, model, person in zip(before, seen.outcomes, own.outcomes, strict=True):
        if _by_both(trial.item):
            twice.append(TwiceLabelled(by_model=model, by_person=person))
        elif trial.item.labelled_by:
            twice.append(TwiceLabelled(by_model=model))
        else:
            of_people.append(person)
    return PairedSample(outcomes=(*of_people, *corrected(twice)))


def plain_sample(before: Sequence[Trial], after: Sequence[Trial]) -> PairedSample:
    """Return the sample of two arms on the same items, each graded by the item's own label."""
    return PairedSample(
        outcomes=tuple(
            PairedOutcome(cluster=old.item.unit, before=old.score, after=new.score, weight=old.item.weight)
            for old, new in zip(before, after, strict=True)
        )
    )


def in_spite_of_gaps(sample: PairedSample, trials: Sequence[Trial], labels: LabelSources | None) -> PairedSample:
    """Return the sample with the items that the queue passed over, as many as fall to those asked about so far."""
    if labels is None or not labels.passed_over:
        return sample
    asked = sum(trial.item.weight for trial in trials if trial.item.asked)
    return msgspec.structs.replace(sample, passed_over=asked * labels.passed_over / max(1, labels.asked))


def _by_both(item: Item) -> bool:
    """Tell if a model labelled an item, and a person who was asked to."""
    return item.model_label is not None and item.asked and not item.labelled_by


def _by_model(item: Item) -> Item:
    """The item with the model's label, if it has any."""
    label = item.model_label
    return item if label is None else msgspec.structs.replace(item, expected=label.expected, labelled_by=label.model)
