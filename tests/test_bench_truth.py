"""The tables of ``tests/bench/distillation/truth.py``, each as one small case of a fixed seed: what they claim holds.

Bounds are loose for so few runs; the tables themselves are in ``docs/verification.md``.
"""

import random

from click.testing import CliRunner

from tests.bench.distillation.habits import HABITS, REGIMES, SKIPPING, draw, skipping
from tests.bench.distillation.hundred import ALONE, CARRIED, FIRST, HUNDRED
from tests.bench.distillation.promises import COVERAGE
from tests.bench.distillation.replay import Table, capo, gepa, mean_went_up, ours, outcome
from tests.bench.distillation.shapes import ACCOUNTS, CLUSTERS, COPIES, GROUPS, HELPS, MODELS, accounts
from tests.bench.distillation.truth import main
from tests.bench.distillation.uneven import UNEVEN


def shares(table: Table, *case: object, runs: int = 60) -> dict[str, float]:
    """The percentages of a row."""
    cells = table.cell(runs, 1, *case)
    return {name: float(str(cell)) for name, cell in zip(table.head, cells, strict=True) if _is_number(cell)}


def _is_number(cell: object) -> bool:
    return str(cell).replace(".", "", 1).removeprefix("-").removeprefix("+").isdigit()


def test_labels_chosen_by_outcome_are_refused_and_the_queue_makes_up_for_them() -> None:
    """Corrections of wrong replies alone certify anything for others; with the queue, gains are found and nulls not."""
    name = "half of the wrong, none of the right"
    alone = shares(REGIMES, name, 0, 0.0)
    assert alone["ours refuses"] == 100 and alone["ours"] == 0 and alone["327abc6"] > 90
    few = shares(REGIMES, name, 40, 0.0, runs=150)
    assert few["ours"] <= 9 and few["mean went up"] > 40
    assert shares(REGIMES, name, 250, 0.1)["ours"] > 80
    assert shares(REGIMES, "loud users, all of their wrong", 100, -0.02)["ours"] <= 9


def test_a_draw_is_what_its_name_says() -> None:
    """The mean change is the truth, also where loud users gain more, and labels are those of the habit."""
    dice, habit = random.Random(2), HABITS["loud users, all of their wrong"]
    drawn = draw(dice, habit, 0, 0.1, n=40_000)
    assert abs(sum(drawn.changes) / 40_000 - 0.1) < 0.01
    assert abs(drawn.origins.count("unasked") / 40_000 - 0.04) < 0.005
    thumbs = draw(dice, HABITS["thumbs without corrections"], 10, 0.0, n=1000)
    assert thumbs.origins.count("asked") == 10


def test_passing_over_the_hard_items_hides_no_loss() -> None:
    """It would, if nobody counted them; and a gain is still found if few are passed over."""
    row = skipping(80, 1, 250, 0.3, 0.1)
    assert float(str(row[4])) <= 5 and float(str(row[6])) > 10
    assert float(str(SKIPPING.cell(40, 1, 250, 0.0, 0.02, 0.1)[4])) > 60


def test_clusters_count_once() -> None:
    """Copies by the twenty: hardly ever adopted, where single items would in every third case."""
    null = shares(CLUSTERS, 20, 1.0, 0.5)
    assert null["ours"] <= 8 and null["327abc6"] > 25
    assert shares(CLUSTERS, 2, 0.4, 0.2, 0.1, runs=40)["ours"] > 80


def test_clusters_of_uneven_size_count_once_as_well() -> None:
    """Conversations of one to twenty turns and more: a change worth nothing in each of them is not adopted."""
    assert shares(UNEVEN, "5 on average", 0.4, 0.0, 0.0, runs=80)["ours"] <= 9


def test_a_hundred_labels_find_a_gain_where_they_are_asked_for_where_answers_differ() -> None:
    """At random no test on them finds ten points in four of five cases; equal answers need no label."""
    assert shares(HUNDRED, ALONE, runs=30)["+10, any test on these labels"] < 80
    first = shares(HUNDRED, FIRST)
    assert first["+10"] > 80 and first["+0"] <= 9
    assert shares(HUNDRED, CARRIED)["+0"] <= 5


def test_a_models_errors_are_no_gain_once_people_labelled_some() -> None:
    """Agreement is called agreement; corrected by people, a copy of errors never passes and a gain does."""
    assert shares(MODELS, COPIES, 0)["ours adopts"] > 95
    assert shares(MODELS, COPIES, 100)["ours adopts"] <= 5
    assert shares(MODELS, HELPS, 150)["ours adopts"] > 60


def test_a_useful_candidate_is_found_and_forty_useless_ones_are_not() -> None:
    """Half of the candidates are null, 100 new items a test."""
    row = accounts(12, 1, 100)
    assert float(str(row[1])) > 60 and float(str(row[4])) <= 17 and ACCOUNTS.cases[1] == (100,)


def test_no_class_pays_for_the_others() -> None:
    """A total that rises while one class falls to nothing."""
    assert shares(GROUPS, "one of ten classes 60% -> 0, the others +10", True)["ours"] <= 2
    assert shares(GROUPS, "all classes +10", False)["ours"] > 80


def test_a_promise_holds() -> None:
    """Of published gains: with the adjusted interval nearly always, where nothing was gained as well."""
    for change in (0.0, 0.05):
        row = shares(COVERAGE, "20% differ", 50, change, runs=12)
        assert row["held: adjusted"] >= 75 > row["held: raw"] or change > 0


def test_the_other_rules_are_theirs() -> None:
    """Each as published; ours refuses what leans on three items."""
    assert mean_went_up([1, 0, 0]) and not mean_went_up([0, 0])
    assert gepa([1, 0, 0, 0]) and not gepa([0, 0, 0, 1]) and not gepa([1, 0, 0, -1, -1])
    assert capo([1, 1]) and capo([1, 1, 1, -1]) and not capo([1, 0, -1, 0]) and not capo([1])
    assert not ours([outcome(at, float(at < 3)) for at in range(12)]).better


def test_a_table_is_one_command() -> None:
    """Its rows can be chosen."""
    printed = CliRunner().invoke(main, ["groups", "--runs", "2", "--only", "all classes"]).output
    assert "seed 1, 2 runs a cell" in printed and printed.count("all classes +10 |") == 1 and "60% -> 0" not in printed
