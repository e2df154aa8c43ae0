"""Whose label counts: each item's own, a model's on every item alike, or a model's corrected by people."""

from pathlib import Path

import msgspec

from optimizer.dataset.items import Item, ModelLabel
from optimizer.distillation.paired_trials import basis_of, claim, paired_sample, plain_sample
from optimizer.evaluation.evaluator import Answer, Trial
from optimizer.statistics.prediction_powered import LEAST_PEOPLE
from tests.scripted import GRADER, evaluator, questions

ITEMS = questions(160)


def by_model(item: Item) -> Item:
    return msgspec.structs.replace(item, labelled_by="large")


def by_both(item: Item, *, asked: bool = True, expected: object = None) -> Item:
    answer = item.expected if expected is None else expected
    return msgspec.structs.replace(item, asked=asked, model_label=ModelLabel(model="large", expected=answer))


def trial(item: Item, reply: object) -> Trial:
    return Trial(item=item, answer=Answer(text=str(reply)), correct=str(reply) == str(item.expected))


def test_items_without_a_models_label_count_by_their_own() -> None:
    """Data files, label queues, graders that need no label."""
    assert basis_of(ITEMS) == "own" and claim(ITEMS) == "right by the labels of people or data"


def test_a_sample_labelled_by_a_model_is_called_agreement_until_people_have_labelled_enough() -> None:
    """A hundred random labels by people correct the rest; corrections that users chose do not."""
    few = [*map(by_model, ITEMS[20:]), *map(by_both, ITEMS[:20])]
    assert basis_of(few) == "model" and claim(few) == "agreement with large"
    enough = [*map(by_model, ITEMS[LEAST_PEOPLE:]), *map(by_both, ITEMS[:LEAST_PEOPLE])]
    assert basis_of(enough) == "corrected" and "right by the labels of people (100 of 160" in claim(enough)
    chosen = [*map(by_model, ITEMS[LEAST_PEOPLE:]), *(by_both(item, asked=False) for item in ITEMS[:LEAST_PEOPLE])]
    assert basis_of(chosen) == "own" and "100 of 160 items are labelled by people" in claim(chosen)


async def test_each_basis_grades_by_its_own_labels(tmp_path: Path) -> None:
    """The model expects another answer than people; the candidate gives the model's."""
    disputed = [by_both(item, expected=7) for item in ITEMS[:4]]
    agreed = [by_model(item) for item in ITEMS[4:8]]
    items = [*disputed, *agreed]
    before = [trial(item, item.expected) for item in items]
    after = [*(trial(item, 7) for item in disputed), *(trial(item, item.expected) for item in agreed)]
    desk = evaluator(tmp_path)
    assert plain_sample(before, after).pairs.broken == 4
    assert (await paired_sample(desk, GRADER, before, after, basis="own")).pairs.broken == 4
    assert (await paired_sample(desk, GRADER, before, after, basis="model")).pairs.fixed == 4
    corrected = await paired_sample(desk, GRADER, before, after, basis="corrected")
    assert corrected.change == -1.0 and corrected.clusters == 4


def test_clusters_and_weights_reach_the_gate() -> None:
    """An item that stands for five counts five times, in its conversation."""
    items = [msgspec.structs.replace(item, cluster="talk", weight=5.0) for item in ITEMS[:2]]
    sample = plain_sample([trial(item, 0) for item in items], [trial(item, item.expected) for item in items])
    assert sample.sums == [10.0] and sample.clusters == 1
