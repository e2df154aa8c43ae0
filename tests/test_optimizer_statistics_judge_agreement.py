"""Agreement: kappa by known values, its interval by simulation, and what a judge's errors cost a test."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.judge_agreement import JudgeAgreement, detectable
from optimizer.statistics.paired_test import smallest_detectable


def counts(both: int, judge_only: int, person_only: int, neither: int) -> JudgeAgreement:
    return JudgeAgreement(both=both, judge_only=judge_only, person_only=person_only, neither=neither)


@pytest.mark.parametrize(
    ("agreement", "kappa"),
    [
        # Published tables of two raters, with their kappas as fractions of the counts.
        (counts(20, 5, 10, 15), Fraction(2, 5)),
        (counts(45, 15, 25, 15), Fraction(3, 23)),
        (counts(25, 35, 5, 35), Fraction(7, 27)),
        (counts(22, 2, 4, 11), Fraction(2, 3)),  # Sim & Wright, Physical Therapy 85 (2005) 257
        (counts(5, 0, 0, 5), Fraction(1)),
        (counts(0, 5, 5, 0), Fraction(-1)),
        (counts(81, 9, 9, 1), Fraction(0)),  # two independent raters
    ],
)
def test_kappa_is_the_agreement_beyond_chance(agreement: JudgeAgreement, kappa: Fraction) -> None:
    """As in the textbooks."""
    assert agreement.kappa == pytest.approx(float(kappa), abs=1e-12)


def test_who_calls_everything_right_has_shown_nothing() -> None:
    """However often that is true."""
    for agreement in (counts(90, 10, 0, 0), counts(10, 0, 0, 0), counts(0, 0, 0, 10), JudgeAgreement()):
        assert agreement.kappa == 0.0
    assert counts(90, 10, 0, 0).observed == 0.9
    assert counts(10, 0, 0, 0).interval == JudgeAgreement().interval == (-1.0, 1.0)


def test_the_interval_is_wilsons_of_the_agreement_on_kappas_scale() -> None:
    """By hand: 35 of 50 agree, Wilson 0.5625 to 0.8090, chance 0.5. Full agreement still leaves room below."""
    assert counts(20, 5, 10, 15).interval == pytest.approx((0.1249, 0.6180), abs=2e-4)
    low, high = counts(20, 0, 0, 20).interval
    assert low == pytest.approx(0.8248, abs=1e-4) and high == 1.0


def test_the_interval_holds_the_true_kappa_about_as_often_as_it_says() -> None:
    """400 runs of 60 replies, 80% right, by a judge with errors of 10% and 20%; seed 1."""
    cells = {"both": 0.72, "judge_only": 0.04, "person_only": 0.08, "neither": 0.16}
    true, runs = JudgeAgreement(**{name: round(100 * share) for name, share in cells.items()}).kappa, 400
    chance = random.Random(1)
    held = 0
    for _ in range(runs):
        drawn = chance.choices(list(cells), weights=list(cells.values()), k=60)
        low, high = JudgeAgreement(**{name: drawn.count(name) for name in cells}).interval
        held += low <= true <= high
    assert 0.93 <= held / runs <= 0.99


def test_what_a_judge_keeps_of_a_true_change() -> None:
    """Nine of ten right ones and eight of ten wrong ones are seen: seven tenths of every gain are left."""
    agreement = counts(9, 2, 1, 8)
    assert (agreement.sensitivity, agreement.specificity) == (0.9, 0.8)
    assert agreement.kept == pytest.approx(0.7)


def test_a_judge_without_error_detects_what_a_perfect_grader_does() -> None:
    """Nothing is lost."""
    assert detectable(counts(40, 0, 0, 10), 250) == pytest.approx(smallest_detectable(250))


def test_errors_cost_detectable_gains() -> None:
    """By hand: 10% errors of both kinds keep 0.8 of a gain and make 0.308 of the pairs discordant."""
    erring = counts(45, 5, 5, 45)
    assert detectable(erring, 250) == pytest.approx(smallest_detectable(250, discordant=0.308) / 0.8)


@pytest.mark.parametrize(
    "useless", [counts(25, 25, 25, 25), counts(0, 9, 9, 0), counts(90, 10, 0, 0), JudgeAgreement()]
)
def test_nothing_can_be_shown_with_a_judge_that_keeps_nothing(useless: JudgeAgreement) -> None:
    """Chance, or worse."""
    assert detectable(useless, 10_000) == 1.0


@given(*[st.integers(0, 200)] * 4, st.integers(0, 2000))
def test_every_number_stays_in_its_bounds(both: int, judge_only: int, person_only: int, neither: int, n: int) -> None:
    """Whatever the counts are."""
    agreement = counts(both, judge_only, person_only, neither)
    low, high = agreement.interval
    assert -1 <= low <= agreement.kappa + 1e-9 and agreement.kappa <= high + 1e-9 and high <= 1 + 1e-9
    assert 0 < detectable(agreement, n) <= 1
