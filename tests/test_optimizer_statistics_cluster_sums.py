"""Cluster sums: McNemar's numbers for independent items, and no false gain where items depend on each other."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample, share_interval, sign_flip_p, student
from optimizer.statistics.paired_test import LEVEL, Gate, Pairs, mcnemar, wilson


def sample(*clusters: str, weight: float = 1.0) -> PairedSample:
    """A sample from clusters of letters: f fixed, x broken, r right twice, w wrong twice."""
    scores = {"f": (0.0, 1.0), "x": (1.0, 0.0), "r": (1.0, 1.0), "w": (0.0, 0.0)}
    return PairedSample(
        outcomes=tuple(
            PairedOutcome(cluster=str(place), before=scores[letter][0], after=scores[letter][1], weight=weight)
            for place, letters in enumerate(clusters)
            for letter in letters
        )
    )


@given(st.text("fxrw", min_size=1, max_size=60))
def test_independent_items_have_mcnemars_numbers(letters: str) -> None:
    """Nothing is lost where nothing depends: z, both p-values, counts and interval are those of the pairs."""
    alone = sample(*letters)
    pairs = alone.pairs
    assert pairs == Pairs(
        both=letters.count("r"), fixed=letters.count("f"), broken=letters.count("x"), neither=letters.count("w")
    )
    assert alone.z == pytest.approx(pairs.z) and alone.change == pytest.approx(pairs.change)
    assert alone.p_better == pytest.approx(mcnemar(pairs.fixed, pairs.broken))
    assert alone.p_worse == pytest.approx(mcnemar(pairs.broken, pairs.fixed))
    assert alone.interval == pairs.interval


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_the_p_value_counts_all_signs(sums: list[int]) -> None:
    """The same as trying every pattern."""
    patterns = list(itertools.product((1, -1), repeat=len(sums)))
    reached = sum(sum(s * abs(total) for s, total in zip(signs, sums, strict=True)) >= sum(sums) for signs in patterns)
    assert sign_flip_p(map(float, sums)) == pytest.approx(reached / len(patterns))


@given(st.lists(st.floats(-3, 3), max_size=30))
def test_fractions_favour_neither_sign(sums: list[float]) -> None:
    """Rounded to steps, the chances to be at least as good and at least as bad still cover all patterns."""
    better, worse = sign_flip_p(sums), sign_flip_p([-total for total in sums])
    assert 0 < better <= 1 and 0 < worse <= 1 and better + worse >= 1 - 1e-9


def test_twenty_copies_are_one_observation() -> None:
    """Ten fixed questions are a gain; one fixed question in ten copies is none."""
    assert sign_flip_p([1.0] * 10) < 0.001 and sign_flip_p([10.0]) == 0.5
    copies = sample("f" * 10, *["r"] * 30)
    gate = Gate(planned=40, margin=0.05, futility=False)
    assert (finding := gate.judge(4, copies)) is not None and finding.verdict != "better"
    assert (naive := gate.judge(4, copies.pairs)) is not None and naive.verdict == "better"
    assert finding.clusters == 31 and "40 items in 31 clusters" in finding.note


@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_a_null_change_passes_in_at_most_five_percent_whatever_the_clusters(size: int) -> None:
    """200 near-duplicate families of each size, all copies alike; bench: ``cluster_sizes``."""
    randomness, runs, adopted = random.Random(size), 200, 0
    for _ in range(runs):
        clusters = [randomness.choice("fxrr") * size for _ in range(200 // size)]
        finding = Gate(planned=200, margin=0.05, futility=False).judge(4, sample(*clusters))
        adopted += finding is not None and finding.verdict == "better"
    assert adopted / runs <= LEVEL + 0.03


def test_the_interval_is_as_wide_as_the_clusters_demand() -> None:
    """Copies add nothing, weights take something away, and one cluster says nothing at all."""
    single, copied = sample(*"fffxrrrrrw" * 3), sample(*[letter * 4 for letter in "fffxrrrrrw" * 3])
    width = single.interval[1] - single.interval[0]
    assert copied.interval[1] - copied.interval[0] >= width
    assert sample("fff").interval == (-1.0, 1.0) == PairedSample(outcomes=()).interval
    uneven = PairedSample(
        outcomes=(*single.outcomes, *(PairedOutcome(cluster="z", before=0.0, after=1.0, weight=9.0),))
    )
    assert uneven.interval[1] - uneven.interval[0] > width
    low, high = sample(*["rr"] * 15).interval
    assert low < -0.15 and high > 0.15


def test_scores_between_wrong_and_right_count_as_they_are() -> None:
    """Half a point of gain on every item is a gain, and its interval holds it."""
    outcomes = [PairedOutcome(cluster=str(place), before=0.25, after=0.7 + 0.1 * (place % 2)) for place in range(40)]
    halves = PairedSample(outcomes=tuple(outcomes))
    assert halves.change == pytest.approx(0.5) and halves.p_better < 1e-6
    assert halves.interval[0] == pytest.approx(0.48, abs=0.02) and halves.interval[1] == pytest.approx(0.52, abs=0.02)
    assert PairedSample(outcomes=()).z == 0.0 == PairedSample(outcomes=()).change


def test_a_share_of_clustered_items_has_its_interval() -> None:
    """Wilson's for independent items, wider for copies, no news from a single cluster."""
    alone = [(str(place), float(place < 8)) for place in range(10)]
    assert share_interval(alone) == wilson(8, 10)
    low, high = share_interval([(cluster, value) for cluster, value in alone for _ in range(5)])
    assert low < wilson(40, 50)[0] and high > wilson(40, 50)[1]
    assert share_interval([("a", 1.0), ("a", 0.0)]) == (0.0, 1.0) == share_interval([])


@pytest.mark.parametrize(("freedom", "quantile"), [(5, 2.571), (11, 2.201), (30, 2.042), (249, 1.9695)])
def test_students_quantile_is_the_tables(freedom: int, quantile: float) -> None:
    """Two-sided 95%."""
    assert student(freedom) == pytest.approx(quantile, abs=4e-3)


def test_items_passed_over_are_losses_until_they_are_labelled() -> None:
    """Ten gains are no gain if ten more items might be losses; a loss is no larger by them."""
    ahead, behind = sample(*"ffffffffff"), sample(*"xxxx")
    doubted = PairedSample(outcomes=ahead.outcomes, passed_over=4.0)
    assert doubted.z == pytest.approx(6 / 14**0.5) and doubted.p_better == pytest.approx(mcnemar(10, 4))
    assert doubted.change == ahead.change and doubted.p_worse == ahead.p_worse
    assert PairedSample(outcomes=ahead.outcomes, passed_over=12.5).z == 0.0
    assert PairedSample(outcomes=behind.outcomes, passed_over=4.0).z == behind.z


def test_heavy_items_that_were_not_drawn_widen_the_spread() -> None:
    """Five complaints fixed, of weight 1, beside labels of weight 9 without a difference: no certainty."""
    complaints, asked = sample(*"fffff"), sample(*["r"] * 20, weight=9.0)
    both = PairedSample(outcomes=(*complaints.outcomes, *asked.outcomes))
    assert complaints.z == pytest.approx(5**0.5) and both.z < 1.2
    losses = PairedSample(outcomes=(*sample(*"xxxxx").outcomes, *asked.outcomes))
    assert losses.z == pytest.approx(-both.z)
