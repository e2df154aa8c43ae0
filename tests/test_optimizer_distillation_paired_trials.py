"""Whose label counts: each item's own, a model's on every item alike, or a model's corrected by people."""

from pathlib import Path

import msgspec

from gateway.proof import LabelSources
from optimizer.dataset.items import Item, ModelLabel
from optimizer.distillation.paired_trials import basis_of, claim, in_spite_of_gaps, paired_sample, plain_sample
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


async def test_people_correct_a_model_where_it_labelled_and_nowhere_else(tmp_path: Path) -> None:
    """A model labels half of the sample, people half of that half. The other half has people's labels only."""
    both = [by_both(item, expected=7) for item in ITEMS[:2]]
    of_model = [msgspec.structs.replace(by_model(item), expected=7) for item in ITEMS[2:4]]
    of_people = [*ITEMS[4:7], by_both(ITEMS[7], asked=False, expected=7)]
    items = [*both, *of_model, *of_people]
    before = [trial(item, item.expected if item.expected != 7 else 0) for item in items]
    after = [trial(item, 7) if item in (*both, *of_model) else old for item, old in zip(items, before, strict=True)]
    corrected = await paired_sample(evaluator(tmp_path), GRADER, before, after, basis="corrected")
    # By the model's labels these four gained; people say of two of them that they lost. The others did not change.
    assert corrected.change == -0.5


def test_clusters_and_weights_reach_the_gate() -> None:
    """An item that stands for five counts five times, in its conversation."""
    items = [msgspec.structs.replace(item, cluster="talk", weight=5.0) for item in ITEMS[:2]]
    sample = plain_sample([trial(item, 0) for item in items], [trial(item, item.expected) for item in items])
    assert sample.sums == [10.0] and sample.clusters == 1


def test_items_passed_over_fall_to_those_asked_about() -> None:
    """Two of twenty passed over: of five asked about so far, half an item."""
    items = [msgspec.structs.replace(item, asked=True, weight=2.0) for item in ITEMS[:5]]
    trials = [trial(item, item.expected) for item in [*items, msgspec.structs.replace(ITEMS[5], asked=False)]]
    sample = plain_sample(trials, trials)
    assert in_spite_of_gaps(sample, trials, LabelSources(asked=20, passed_over=2)).passed_over == 1.0
    assert in_spite_of_gaps(sample, trials, LabelSources(asked=20)) is sample is in_spite_of_gaps(sample, trials, None)
